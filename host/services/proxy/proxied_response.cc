#include "host/services/proxy/proxied_response.h"

#include <boost/beast/http/status.hpp>

#include "host/http/head.h"

namespace nsrun {
namespace {

// Takes down the status.
class ProxiedResponseParser final : public ResponseParser {
 public:
  int status = 0;

 private:
  void on_response_impl(int code, string_view, int, Code&) override { status = code; }
};

}  // namespace

Result<ProxiedResponse::Piece> ProxiedResponse::take(std::string_view bytes, bool request_is_whole) {
  if (!parser_) {
    parser_ = std::make_unique<ProxiedResponseParser>();
    parser_->skip(to_head_);
  }
  const auto part = parser_->take(bytes);
  if (!part) return part.error();
  Piece piece{part->size, {}};
  if (part->is_head && part->size > 0) {
    const int status = static_cast<ProxiedResponseParser&>(*parser_).status;
    if (status == 101)  // nobody asked for it: Upgrade is of one hop
      return Error{"the server changes the protocol", errno_code(EPROTO)};
    if (status < 200) {  // interim (RFC 9110 15.2): the answer is still to come
      HttpHead head(bytes.substr(0, part->size));
      head.remove_hop_by_hop();
      piece.head = head.to_string();
      parser_.reset();
      return piece;
    }
    begun_ = true;
    piece.head = rewrite(bytes.substr(0, part->size), request_is_whole);
  }
  done_ = parser_->is_done();
  return piece;
}

std::string ProxiedResponse::rewrite(std::string_view text, bool request_is_whole) {
  HttpHead head(text);
  head.remove_hop_by_hop();
  head.first_line.replace(0, 8, "HTTP/1.1");  // the version is this hop's (RFC 9110 2.5)
  if (parser_->need_eof() || !request_is_whole) keeps_alive_ = false;
  if (!keeps_alive_) head.add("Connection", "close");
  return head.to_string();
}

void ProxiedResponse::end() {
  if (!parser_ || !begun_ || done_) return;
  boost::system::error_code cut_off;
  parser_->put_eof(cut_off);
  done_ = !cut_off && parser_->is_done();
}

}  // namespace nsrun
