#pragma once

#include <string>

namespace nsrun {

// Overwrites the user and password of a dialer's URL in our own argument vector, which anybody can read in
// /proc/PID/cmdline (proc(5)): the command too, as its agent is a fork of ours. `value`: of an option, where
// the URL is the first `url_size` characters.
void hide_password(int argc, char** argv, const std::string& value, std::size_t url_size);

}  // namespace nsrun
