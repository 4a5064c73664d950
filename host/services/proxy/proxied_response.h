#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "host/http/message_parser.h"

namespace nsrun {

// A server's answer to one request, as a proxy's client gets it: fields of the server's hop left out, and
// said whether the client may go on with another request. Pure.
class ProxiedResponse {
 public:
  // `to_head`: it answers HEAD. `keeps_alive`: the client would go on.
  ProxiedResponse(bool to_head, bool keeps_alive) : to_head_(to_head), keeps_alive_(keeps_alive) {}

  // What of these bytes was understood: `size` of them, which the client gets as they are, or, of a head, as
  // `head`. Size 0: more are needed. `request_is_whole`: else the client cannot go on after this answer.
  struct Piece {
    std::size_t size = 0;
    std::string head;
  };
  Result<Piece> take(std::string_view bytes, bool request_is_whole);
  // The server has finished.
  void end();

  bool begun() const { return begun_; }  // the client has got a part of the answer itself
  bool done() const { return done_; }    // it has got all
  bool keeps_alive() const { return done_ && keeps_alive_; }

 private:
  std::string rewrite(std::string_view text, bool request_is_whole);

  const bool to_head_;
  bool keeps_alive_;
  bool begun_ = false, done_ = false;
  std::unique_ptr<ResponseParser> parser_;
};

}  // namespace nsrun
