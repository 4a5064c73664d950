#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "runtime/result.h"
#include "runtime/task.h"

namespace nsrun {

// What can be asked of a running sandbox, by name (docs/control.md).
class ControlCommands {
 public:
  using Answer = Result<boost::json::value>;
  using Command = std::function<Task<Answer>(boost::json::object request)>;

  void add(std::string name, Command command) { commands_[std::move(name)] = std::move(command); }
  // The answer to one line: {"ok": true, "result": …} or {"ok": false, "error": …}, with the request's `id`.
  Task<boost::json::object> answer(std::string line);

 private:
  Task<Answer> run(boost::json::object request);

  std::map<std::string, Command, std::less<>> commands_;
};

// A text field of a request; an error that names it where there is none.
Result<std::string> text_field(const boost::json::object& request, std::string_view name);
// A whole number from 0 on; `otherwise`, where there is none.
Result<std::uint64_t> number_field(const boost::json::object& request, std::string_view name,
                                   std::uint64_t otherwise);

}  // namespace nsrun
