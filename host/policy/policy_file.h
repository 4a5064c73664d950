#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/policy/rule.h"
#include "runtime/fd.h"

// Policy files: what the options say, in YAML.
//
//   version: 1
//   default: reject                  # or allow, deny, ask
//   rules:
//     - allow: github.com
//     - allow: [pypi.org, "files.pythonhosted.org:443"]
//     - redirect: api.stripe.com:443
//       to: 127.0.0.1:9000
//     - via: socks5h://127.0.0.1:1080
//       match: "*.corp.example"

namespace nsrun {

constexpr std::size_t max_policy = 32 << 20;  // bytes; larger files are refused

struct PolicyFile {
  std::vector<Rule> rules;          // each with its "file:line"
  std::optional<Action> otherwise;  // as `default` says
};

// `name`: how errors and rules call the text. Errors begin with "name:line:column:", say which key is wrong
// and what was expected, and have ExitCode::usage. An empty text is a policy without rules.
Result<PolicyFile> parse_policy(std::string_view text, const std::string& name);
// Regular files only: what cannot be read twice is no policy that can be loaded again.
Result<PolicyFile> read_policy(const std::string& path);
// The same of a file that is open already; `path` is its name.
Result<PolicyFile> read_policy(const std::string& path, UniqueFd file);

}  // namespace nsrun
