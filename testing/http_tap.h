#pragma once

#include <boost/beast/http/parser.hpp>
#include <deque>
#include <optional>
#include <string_view>

#include "host/http/beast_feed.h"
#include "host/http/growing_body.h"
#include "testing/recording.h"

namespace nsrun::testing {

// Understands the two directions of a stream as HTTP/1 requests and responses, while it is looking on.
class HttpTap {
 public:
  void up(std::string_view bytes);
  void down(std::string_view bytes);
  void down_ended();

  // It was HTTP so far. A stream that stops being it (an upgrade, a tunnel) never was, for us.
  bool is_http() const { return is_http_; }
  std::vector<Exchange> take_exchanges() { return std::move(exchanges_); }

 private:
  template <class Parser>
  struct Side {
    std::optional<Parser> parser = {};
    BeastFeed feed = {};       // of the parser
    std::string raw = {};      // of the message under way
    std::string waiting = {};  // not understood yet
  };
  struct Asked {
    std::string raw;
    bool is_head = false;
  };
  template <class Parser>
  bool parse(Side<Parser>& side);
  void request_ended();
  void response_ended();

  Side<boost::beast::http::request_parser<GrowingBody>> up_;
  Side<boost::beast::http::response_parser<GrowingBody>> down_;
  std::deque<Asked> asked_;  // and not answered
  std::vector<Exchange> exchanges_;
  bool is_http_ = true;
};

}  // namespace nsrun::testing
