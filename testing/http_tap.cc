#include "testing/http_tap.h"

#include <utility>

namespace nsrun::testing {

namespace http = boost::beast::http;

// True: a message has ended, and more may wait.
template <class Parser>
bool HttpTap::parse(Side<Parser>& side) {
  while (!side.waiting.empty()) {
    boost::system::error_code error;
    const auto used = side.feed.put(*side.parser, side.waiting, error);
    side.raw.append(side.waiting, 0, used);
    side.waiting.erase(0, used);
    if (side.parser->is_done()) return true;
    if (error == http::error::need_more) return false;
    if (error) return is_http_ = false;
  }
  return false;
}

void HttpTap::up(std::string_view bytes) {
  up_.waiting += bytes;
  while (is_http_ && !up_.waiting.empty()) {
    if (!up_.parser) {
      up_.parser.emplace().eager(true);
      up_.feed = {};
      up_.parser->body_limit(max_recorded);
    }
    if (!parse(up_)) return;
    request_ended();
  }
}

void HttpTap::request_ended() {
  const auto method = up_.parser->get().method();
  if (method == http::verb::connect) is_http_ = false;
  asked_.push_back({std::exchange(up_.raw, {}), method == http::verb::head});
  up_.parser.reset();
}

void HttpTap::down(std::string_view bytes) {
  down_.waiting += bytes;
  while (is_http_ && !down_.waiting.empty()) {
    if (!down_.parser) {
      down_.parser.emplace().eager(true);
      down_.feed = {};
      down_.parser->body_limit(max_recorded);
      down_.parser->skip(!asked_.empty() && asked_.front().is_head);
    }
    if (!parse(down_)) return;
    response_ended();
  }
}

void HttpTap::down_ended() {
  if (!down_.parser || !is_http_) return;
  boost::system::error_code ignored;
  down_.parser->put_eof(ignored);
  if (down_.parser->is_done()) response_ended();
}

void HttpTap::response_ended() {
  const auto status = down_.parser->get().result_int();
  const bool closes = !down_.parser->keep_alive();
  auto raw = std::exchange(down_.raw, {});
  down_.parser.reset();
  if (status == 101) is_http_ = false;
  if (status < 200) return;  // interim (RFC 9110 15.2); a replay says it by itself
  if (asked_.empty()) {
    is_http_ = false;  // an answer to nothing that was asked whole
    return;
  }
  exchanges_.push_back({std::move(asked_.front().raw), std::move(raw), closes});
  asked_.pop_front();
}

}  // namespace nsrun::testing
