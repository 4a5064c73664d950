#pragma once

#include <memory>
#include <string>
#include <vector>

#include "host/policy/rule_index.h"
#include "testing/handler.h"
#include "testing/http.h"

namespace nsrun::testing {

// What happens to flows that fit a match.
struct Declaration {
  enum class Kind { stream, http, refuse, silence };
  Match match = {};
  bool clear = false;  // of the match's text: "tcp/" and "http/" say that there is no TLS, whatever the port
  Kind kind = Kind::refuse;
  Handler handler = {};      // of stream; also of datagrams
  HttpHandler respond = {};  // of http

  bool is_tls(Protocol protocol, std::uint16_t port) const;
};

// All that a world has. The first match in the order of declaration counts; the same match declared anew
// takes the place of the old.
class Declarations {
 public:
  // Throws ErrorException: `match` is none.
  void declare(std::string_view match, Declaration declaration);
  // Null: nothing is declared there.
  std::shared_ptr<const Declaration> find(const Subject& subject) const;
  const std::vector<std::shared_ptr<const Declaration>>& all() const { return declared_; }

 private:
  std::vector<std::shared_ptr<const Declaration>> declared_;  // shared with the flows that they answer
  RuleIndex index_;
};

}  // namespace nsrun::testing
