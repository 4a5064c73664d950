#pragma once

#include <string>

namespace nsrun {

// The whole text of a file below a directory descriptor, a procfs's mostly; empty where it cannot be read.
std::string proc_text(int directory, const std::string& path);
// What a symbolic link there says; empty where there is none.
std::string proc_link(int directory, const std::string& path);
// The rest of the line that begins with `label` and a colon, without the blanks around it. Not the first
// line's, which in /proc/PID/status is a name of the process's choice.
std::string proc_field(const std::string& text, const std::string& label);

}  // namespace nsrun
