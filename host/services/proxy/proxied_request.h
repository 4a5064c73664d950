#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "host/http/authority.h"
#include "host/http/message_parser.h"

// What a client of an HTTP proxy asks for, and what of it the server is told (RFC 9112 3.2, RFC 9110 7.6).
// Pure.

namespace nsrun {

struct ProxiedRequest {
  Authority where;
  bool is_connect = false;   // a tunnel: nothing below counts
  std::string head;          // for the server: its target in origin form, fields of this hop left out
  bool asks_head = false;    // an answer to HEAD has no body, whatever it says
  bool keeps_alive = false;  // the client would send another request after this one
  std::unique_ptr<RequestParser> rest;  // of its body
};

class ProxiedRequests {
 public:
  static constexpr std::uint16_t connect_port = 443, http_port = 80;  // where none is named

  // `pseudonym` is how this proxy is called in Via (RFC 9110 7.6.3).
  explicit ProxiedRequests(std::string pseudonym) : pseudonym_(std::move(pseudonym)) {}

  // The request whose head these bytes begin with; `size`: of its head, 0 where that is not whole yet. An
  // error: it is none that can be carried; `doing` says why. `parser`: null at first, and kept by the caller
  // until the head is whole: what it has seen of the head is not looked through again.
  Result<ProxiedRequest> take(std::string_view bytes, std::size_t& size,
                              std::unique_ptr<RequestParser>& parser) const;

 private:
  Result<ProxiedRequest> rewrite(std::string_view text, std::unique_ptr<RequestParser> parser) const;
  const std::string pseudonym_;
};

}  // namespace nsrun
