#pragma once

#include <string>

namespace nsrun {

// Overwrites the user and password of the dialer's URL in our own argument vector, which anybody can read in
// /proc/PID/cmdline (proc(5)): the command too, as its agent is a fork of ours.
void hide_password(int argc, char** argv, const std::string& url);

}  // namespace nsrun
