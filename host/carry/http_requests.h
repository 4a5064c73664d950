#pragma once

#include <memory>
#include <string>

#include "runtime/address.h"
#include "runtime/bytes.h"
#include "runtime/result.h"

namespace nsrun {

// The requests of one HTTP/1.x connection (RFC 9112), each of which must be for one host: its Host, and its
// target where that is absolute. Whatever two readers could understand differently does not agree (a body
// that is a request among it), nor does what ends HTTP on the connection (CONNECT, Upgrade). Pure.
class HttpRequests {
 public:
  // `host`: a canonical name, or an address as text. `port`: must be the one that a request names, if any.
  HttpRequests(std::string host, std::uint16_t port);
  ~HttpRequests();
  HttpRequests(HttpRequests&&) noexcept;

  // How many of these bytes, from the first, may go on. The rest is to be given again, with more behind it.
  Result<std::size_t> agreed(Bytes bytes);

 private:
  class Parser;
  std::string host_;
  std::uint16_t port_;
  std::unique_ptr<Parser> parser_;  // of the request under way
  std::size_t held_back_ = 0;       // bytes that the parser has taken, and that may not go on yet
};

}  // namespace nsrun
