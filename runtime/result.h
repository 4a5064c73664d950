#pragma once

#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>
#include <cerrno>
#include <stdexcept>
#include <string>

#include "runtime/exit_code.h"

namespace nsrun {

// An expected failure: what we were doing, why it failed, and what to do about it.
struct Error {
  std::string doing;                    // "cannot open /dev/net/tun"
  boost::system::error_code code = {};  // errno or asio's; empty when the words say it all
  std::string advice = {};              // "is it mode 0666? see README, Requirements"
  ExitCode exit = ExitCode::failed;     // what the nsrun command ends with because of it

  // One line: "cannot open /dev/net/tun: Permission denied (is it mode 0666? ...)".
  std::string message() const;
};

template <class T = void>
using Result = boost::system::result<T, Error>;

// The error errno describes now. Call it before anything else can change errno.
Error errno_error(std::string doing, std::string advice = {}, ExitCode exit = ExitCode::failed);
inline boost::system::error_code errno_code(int number = errno) {
  return {number, boost::system::system_category()};
}

// Thrown by Result::value() on an error: where the caller has decided that a failure ends the program.
class ErrorException : public std::runtime_error {
 public:
  explicit ErrorException(Error error) : std::runtime_error(error.message()), error_(std::move(error)) {}
  const Error& error() const { return error_; }

 private:
  Error error_;
};
[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location&);

}  // namespace nsrun
