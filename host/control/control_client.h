#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "runtime/fd.h"
#include "runtime/result.h"

namespace nsrun {

// Asks a running nsrun, one question after the other. Blocks.
class ControlClient {
 public:
  // An error too where whoever listens is not an nsrun of ours: a guest has its user's files, and may put a
  // socket of its own in the place.
  static Result<ControlClient> connect(const std::string& path);
  // The `result` of the answer; its `error` as an error.
  Result<boost::json::value> ask(const boost::json::object& request);

 private:
  explicit ControlClient(UniqueFd socket) : socket_(std::move(socket)) {}
  Result<std::string> receive_line();

  UniqueFd socket_;
  std::string received_;
};

}  // namespace nsrun
