#include "host/carry/http_requests.h"

#include <algorithm>
#include <array>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/rfc7230.hpp>

#include "host/carry/request_line_detector.h"
#include "host/http/absolute_target.h"
#include "host/http/authority.h"
#include "host/http/message_parser.h"
#include "host/text/canonical_name.h"
#include "host/text/words.h"

namespace nsrun {
namespace {

namespace http = boost::beast::http;

Error http_disagrees(std::string why) {
  return {"its HTTP does not agree", errno_code(EACCES), std::move(why)};
}

// What can be shown of what the guest wrote.
std::string shown(std::string_view text) {
  constexpr std::size_t most = 253;  // characters: a host name's
  std::string result(text.substr(0, most));
  std::erase_if(result, [](char c) { return c <= ' ' || c > '~'; });
  return result;
}

// One form of a host as a rule names it, in which an address is that address however it is written.
std::string canonical_host(std::string_view text) {
  if (const auto address = IpAddress::parse(text)) return address->to_string();
  const auto name = canonical_name(text);
  return name ? *name : std::string{};
}

// Fields that say where a request ends or whom it is for, as some servers write them for programs behind them
// (RFC 3875 4.1.18): those take "Content_Length" for one.
bool is_called(std::string_view name, std::string_view field) {
  const auto same = [](char a, char b) { return to_lower(a) == to_lower(b) || (a == '_' && b == '-'); };
  return std::ranges::equal(name, field, same);
}

constexpr std::array message_fields = {std::string_view("Host"), std::string_view("Content-Length"),
                                       std::string_view("Transfer-Encoding")};

bool is_of_the_message(std::string_view name) {
  return std::ranges::any_of(message_fields, [&](auto field) { return is_called(name, field); });
}

}  // namespace

class HttpRequests::Parser final : public RequestParser {
 public:
  Parser(const std::string& host, std::uint16_t port) : host_(host), port_(port) {}

  // After the head, and after each part of the body; `head`: the head's bytes, or nothing.
  Result<void> check(std::string_view head) const {
    if (!wrong_.empty()) return http_disagrees(wrong_);
    if (head.find("\n ") != head.npos || head.find("\n\t") != head.npos)
      return http_disagrees("a header is folded over two lines");
    if (hosts_ != 1)
      return http_disagrees(hosts_ == 0 ? "a request names no host" : "a request names two hosts");
    if (lengths_ + codings_ > 1) return http_disagrees("a request tells its length twice");
    if (codings_ > 0 && is_old_) return http_disagrees("a request has chunks, which HTTP/1.0 does not know");
    // A server that does not read the body (of a GET, or where it refuses what Expect announces) takes it for
    // the next request.
    if (body_.is_request()) return http_disagrees("a request's body is a request");
    return {};
  }

  // Whether what was taken of the body may go on: not while it may still turn out to be a request.
  bool may_go_on() const { return !body_.is_open() || is_done(); }

 private:
  void on_request_impl(http::verb method, string_view, string_view target, int version, Code&) override {
    is_old_ = version == 10;
    if (version != 10 && version != 11) wrong_ = "it is not HTTP/1.0 or 1.1";
    if (method == http::verb::connect) wrong_ = "CONNECT would lead to another host";
    if (target.starts_with('/') || (target == "*" && method == http::verb::options)) return;
    const auto url = AbsoluteTarget::parse({target.data(), target.size()});
    if (!url || url->has_user || !boost::beast::iequals(url->scheme, "http"))
      wrong_ = "a request's target is malformed, or not http://";
    else
      check_host(url->authority);
  }

  void on_field_impl(http::field field, string_view name, string_view value, Code&) override {
    if (field == http::field::host) {
      ++hosts_;
      check_host({value.data(), value.size()});
    } else if (field == http::field::content_length) {
      lengths_ += value.find(',') == value.npos ? 1 : 2;
      if (value.size() > 1 && value[0] == '0') wrong_ = "a request's length begins with 0";
    } else if (field == http::field::transfer_encoding) {
      ++codings_;
      if (!boost::beast::iequals(value, "chunked")) wrong_ = "a request has a transfer coding beside chunked";
    } else if (field == http::field::upgrade) {
      wrong_ = "Upgrade would end HTTP on this connection";
    } else if (field == http::field::connection || field == http::field::proxy_connection) {
      check_connection(value);
    } else if (is_of_the_message({name.data(), name.size()})) {
      wrong_ = "a request's field " + shown({name.data(), name.size()}) + " could be taken for another";
    }
  }

  // What Connection names is taken out by the next reader (RFC 9110 7.6.1).
  void check_connection(string_view value) {
    for (const auto& option : http::token_list{value})
      if (is_of_the_message({option.data(), option.size()}))
        wrong_ = "Connection names " + shown({option.data(), option.size()});
  }

  std::size_t on_body_impl(string_view body, Code&) override {
    body_.take({body.data(), body.size()});
    return body.size();
  }
  std::size_t on_chunk_body_impl(std::uint64_t, string_view body, Code&) override {
    body_.take({body.data(), body.size()});
    return body.size();
  }

  void check_host(std::string_view value) {
    const auto named = value.ends_with(':') ? std::nullopt : Authority::parse(value, port_);
    if (named && named->port == port_ && named->host == host_) return;
    wrong_ =
        "a request is for " + shown(value) + " and the flow is to " + host_ + ":" + std::to_string(port_);
  }

  const std::string& host_;
  const std::uint16_t port_;
  std::string wrong_;  // what does not agree; empty: nothing so far
  int hosts_ = 0, lengths_ = 0, codings_ = 0;
  bool is_old_ = false;  // HTTP/1.0
  RequestLineDetector body_;
};

HttpRequests::HttpRequests(std::string host, std::uint16_t port) : host_(canonical_host(host)), port_(port) {}
HttpRequests::~HttpRequests() = default;
HttpRequests::HttpRequests(HttpRequests&&) noexcept = default;

Result<std::size_t> HttpRequests::agreed(Bytes bytes) {
  const auto text = as_text(bytes);
  std::size_t taken = held_back_, open = 0;
  while (taken < text.size()) {
    if (!parser_ || parser_->is_done()) parser_ = std::make_unique<Parser>(host_, port_);
    const auto rest = text.substr(taken);
    const auto part = parser_->take(rest);
    if (!part) return http_disagrees(part.error().doing);
    if (part->size == 0) break;
    // A trailer may hold fields that some would take for the head's.
    if (auto checked = parser_->check(rest.substr(0, part->is_head ? part->size : 0)); !checked)
      return checked.error();
    taken += part->size;
    if (parser_->may_go_on()) open = taken;
  }
  held_back_ = taken - open;
  return open;
}

}  // namespace nsrun
