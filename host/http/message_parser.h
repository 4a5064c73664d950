#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <boost/version.hpp>
#include <cstdint>
#include <optional>
#include <string_view>

#include "host/http/beast_feed.h"
#include "runtime/result.h"

namespace nsrun {

// A part of a message that was taken.
struct MessagePart {
  std::size_t size = 0;  // bytes; 0: there is not enough to take any
  bool is_head = false;  // a whole head, else of a body as much as there is (its chunks' lines with it)
};

// How one message of an HTTP/1.x connection is framed (RFC 9112 6). Heads are taken whole, and are nothing
// but lines of text. What else is of interest in them, whoever derives from it takes down. Pure.
template <bool is_request>
class MessageParser : public boost::beast::http::basic_parser<is_request> {
 public:
  static constexpr std::size_t max_head = 65'536;  // bytes; also of a chunk's first line, and the trailer

  MessageParser();
  // The next part of these bytes, which begin where the last part ended: what was not taken is given again,
  // with more behind it. Once the message is done, or was an error, so is every further part.
  Result<MessagePart> take(std::string_view bytes);

 protected:
  using Code = boost::system::error_code;
  using string_view = boost::beast::string_view;

  void on_request_impl(boost::beast::http::verb, string_view, string_view, int, Code&) override {}
  void on_response_impl(int, string_view, int, Code&) override {}
  void on_field_impl(boost::beast::http::field, string_view, string_view, Code&) override {}
#if BOOST_VERSION >= 109000
  // A field of a trailer, which Boost before 1.90 gave to on_field_impl. A server may take it for one of the
  // head's.
  void on_trailer_field_impl(boost::beast::http::field name, string_view text, string_view value,
                             Code& why) override {
    this->on_field_impl(name, text, value, why);
  }
#endif
  void on_header_impl(Code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, Code&) override {}
  std::size_t on_body_impl(string_view body, Code&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t size, string_view extensions, Code& why) override;
  std::size_t on_chunk_body_impl(std::uint64_t, string_view body, Code&) override { return body.size(); }
  void on_finish_impl(Code&) override {}

 private:
  Result<MessagePart> take_head(std::string_view bytes);
  Result<MessagePart> take_body(std::string_view bytes);
  Error failed(std::string why);

  BeastFeed feed_;
  std::size_t seen_ = 0;     // bytes of a head that are text, and do not end it
  bool in_trailer_ = false;  // the first line of the last chunk was taken
  std::optional<Error> error_;
};

using RequestParser = MessageParser<true>;
using ResponseParser = MessageParser<false>;

}  // namespace nsrun
