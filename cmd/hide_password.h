#pragma once

namespace nsrun {

// Overwrites the users and passwords of URLs in our own argument vector, which anybody can read in
// /proc/PID/cmdline (proc(5)): the command too, as its agent is a fork of ours. Of every value of --dial,
// --via and --server, also of one that a later one replaces, up to the first "--". To be called once the
// words have been copied.
void hide_passwords(int argc, char** argv);

}  // namespace nsrun
