#include "host/text/read_settings.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace nsrun {
namespace {

std::string in_mebibytes(std::size_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

}  // namespace

Result<std::string> read_settings(const std::string& what, const std::string& path, std::size_t most) {
  // Without waiting for the writer of a FIFO.
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return errno_error("cannot read " + what + " " + path, {}, ExitCode::usage);
  return read_settings(what, path, most, std::move(file));
}

Result<std::string> read_settings(const std::string& what, const std::string& path, std::size_t most,
                                  UniqueFd file) {
  const std::string doing = "cannot read " + what + " " + path;
  struct stat status {};
  if (::fstat(file.get(), &status) < 0) return errno_error(doing);
  if (!S_ISREG(status.st_mode))
    return Error{doing + ": it is not a regular file", {}, "write it to a file first", ExitCode::usage};
  std::string text(std::min(static_cast<std::size_t>(status.st_size), most) + 1, '\0');
  std::size_t size = 0;
  for (;;) {
    if (size == text.size()) text.resize(std::min(text.size() * 2, most + 1));
    const auto got = ::read(file.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error(doing, {}, ExitCode::usage);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
    if (size > most)
      return Error{what + " " + path + " is larger than " + in_mebibytes(most),
                   {},
                   "leave some of it out",
                   ExitCode::usage};
  }
  text.resize(size);
  return Result<std::string>(boost::system::in_place_value, std::move(text));
}

}  // namespace nsrun
