#pragma once

namespace nsrun {

// Makes `far`, a connected TCP socket, answer and behave as the guest set its own up before it connected:
// every option that is the guest's to choose takes the guest's value, ours of the dialer included.
void carry_options_over(int guest, int far);
// SO_LINGER by itself: with it, whoever closes the last copy of `far` waits for the peer.
void carry_linger_over(int guest, int far);

}  // namespace nsrun
