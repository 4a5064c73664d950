#include "cmd/ctl/ctl_command.h"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>

#include "cmd/ctl/ctl_requests.h"
#include "cmd/ctl/ctl_tables.h"
#include "cmd/ctl/ctl_top.h"
#include "host/control/control_client.h"
#include "runtime/printable.h"

namespace nsrun {
namespace {}  // namespace

std::string ctl_help() {
  return "nsrun ctl controls an nsrun that was started with --control SOCKET.\n\n"
         "  nsrun ctl SOCKET COMMAND [--json]\n\n" +
         ctl_commands_help() +
         "  top                                     live flows, busiest first\n\n"
         "--json prints the answer itself, for other programs. See docs/control.md.\n";
}

namespace {

int fail_ctl(const Error& error) {
  std::fprintf(stderr, "nsrun ctl: %s\n", printable(error.message()).c_str());
  return static_cast<int>(error.exit);
}

Result<int> run(const std::string& socket, const std::vector<std::string>& words, bool as_json) {
  const bool is_top = words.size() == 1 && words[0] == "top";
  const auto request = is_top ? boost::json::object{} : ctl_request(words);
  if (!request) return request.error();
  auto client = ControlClient::connect(socket);
  if (!client) return client.error();
  if (is_top) return show_top(*client);
  boost::json::value result;
  if (words[0] == "flows") {
    auto flows = all_flows(*client);
    if (!flows) return flows.error();
    result = boost::json::object{{"flows", std::move(*flows)}};
  } else {
    auto answer = client->ask(*request);
    if (!answer) return answer.error();
    result = std::move(*answer);
  }
  const std::string text = as_json ? boost::json::serialize(result) + "\n" : in_words(result);
  std::fputs(text.c_str(), stdout);
  return std::fflush(stdout) == 0 ? 0 : 1;
}

}  // namespace

int ctl_command(int argc, char** argv) {
  std::vector<std::string> words;
  bool as_json = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--help" || word == "-h") return std::fputs(ctl_help().c_str(), stdout) < 0;
    if (word == "--json")
      as_json = true;
    else
      words.push_back(word);
  }
  if (words.empty())
    return fail_ctl({"there is no control socket to ask at", {}, "nsrun ctl --help", ExitCode::usage});
  const std::string socket = words.front();
  words.erase(words.begin());
  const auto status = run(socket, words, as_json);
  return status ? *status : fail_ctl(status.error());
}

}  // namespace nsrun
