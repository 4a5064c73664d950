#include "runtime/result.h"

namespace nsrun {

std::string Error::message() const {
  std::string line = doing;
  if (code) line += ": " + code.message();
  if (!advice.empty()) line += " (" + advice + ")";
  return line;
}

Error errno_error(std::string doing, std::string advice, ExitCode exit) {
  return {std::move(doing), errno_code(errno), std::move(advice), exit};
}

void throw_exception_from_error(const Error& error, const boost::source_location&) {
  throw ErrorException(error);
}

}  // namespace nsrun
