#include "host/tunnel/token_file.h"

#include <fstream>
#include <sstream>

namespace nsrun {

Result<std::string> read_token(const std::string& path) {
  if (path.empty()) return Result<std::string>(boost::system::in_place_value, "");
  std::ifstream file(path, std::ios::binary);
  std::ostringstream read;
  if (!file || !(read << file.rdbuf()))
    return errno_error("cannot read the token in " + path, "it is a file with one line", ExitCode::usage);
  constexpr auto space = " \t\r\n";
  const std::string text = read.str();
  const auto begin = text.find_first_not_of(space);
  if (begin == std::string::npos)
    return Error{"there is no token in " + path, {}, "put one into its first line", ExitCode::usage};
  auto token = text.substr(begin, text.find_last_not_of(space) + 1 - begin);
  for (const unsigned char c : token)
    if (c <= ' ' || c > '~')
      return Error{"the token in " + path + " has a space or an odd character",
                   {},
                   "letters, digits and marks will do",
                   ExitCode::usage};
  return {boost::system::in_place_value, std::move(token)};
}

}  // namespace nsrun
