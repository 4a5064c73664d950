#include "host/inspect/http_requests.h"

#include <boost/beast/core/string.hpp>

#include "host/http/absolute_target.h"
#include "host/http/message_parser.h"
#include "host/names/canonical_name.h"

namespace nsrun {
namespace {

namespace http = boost::beast::http;

Error disagrees(std::string why) { return {"its HTTP does not agree", errno_code(EACCES), std::move(why)}; }

// What can be shown of what the guest wrote.
std::string shown(std::string_view text) {
  constexpr std::size_t most = 253;  // characters: a host name's
  std::string result(text.substr(0, most));
  std::erase_if(result, [](char c) { return c <= ' ' || c > '~'; });
  return result;
}

// One form of a host as a request names it, in which an address is that address however it is written.
std::string canonical_host(std::string_view text) {
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  if (const auto address = IpAddress::parse(text)) return address->to_string();
  const auto name = canonical_name(text);
  return name ? *name : std::string{};
}

}  // namespace

class HttpRequests::Parser final : public RequestParser {
 public:
  Parser(const std::string& host, std::uint16_t port) : host_(host), port_(port) {}

  // After the head; `head`: its bytes.
  Result<void> check(std::string_view head) const {
    if (!wrong_.empty()) return disagrees(wrong_);
    if (head.find("\n ") != head.npos || head.find("\n\t") != head.npos)
      return disagrees("a header is folded over two lines");
    if (hosts_ != 1) return disagrees(hosts_ == 0 ? "a request names no host" : "a request names two hosts");
    if (lengths_ + codings_ > 1) return disagrees("a request tells its length twice");
    if (codings_ > 0 && is_old_) return disagrees("a request has chunks, which HTTP/1.0 does not know");
    return {};
  }

 private:
  void on_request_impl(http::verb method, string_view, string_view target, int version, Code&) override {
    is_old_ = version == 10;
    if (version != 10 && version != 11) wrong_ = "it is not HTTP/1.0 or 1.1";
    if (method == http::verb::connect) wrong_ = "CONNECT would lead to another host";
    if (target.starts_with('/') || (target == "*" && method == http::verb::options)) return;
    const auto url = AbsoluteTarget::parse({target.data(), target.size()});
    if (!url || url->has_user)
      wrong_ = "a request's target is malformed";
    else
      check_host(url->authority);
  }

  void on_field_impl(http::field field, string_view, string_view value, Code&) override {
    if (field == http::field::host) {
      ++hosts_;
      check_host({value.data(), value.size()});
    } else if (field == http::field::content_length) {
      lengths_ += value.find(',') == value.npos ? 1 : 2;
    } else if (field == http::field::transfer_encoding) {
      ++codings_;
      if (!boost::beast::iequals(value, "chunked")) wrong_ = "a request has a transfer coding beside chunked";
    } else if (field == http::field::upgrade) {
      wrong_ = "Upgrade would end HTTP on this connection";
    }
  }

  void check_host(std::string_view value) {
    const auto bracket = value.rfind(']');
    const auto colon = value.find(':', bracket == value.npos ? 0 : bracket);
    const auto port = colon == value.npos ? std::optional(port_) : parse_port(value.substr(colon + 1));
    if (port == port_ && canonical_host(value.substr(0, colon)) == host_) return;
    wrong_ =
        "a request is for " + shown(value) + " and the flow is to " + host_ + ":" + std::to_string(port_);
  }

  const std::string& host_;
  const std::uint16_t port_;
  std::string wrong_;  // what does not agree; empty: nothing so far
  int hosts_ = 0, lengths_ = 0, codings_ = 0;
  bool is_old_ = false;  // HTTP/1.0
};

HttpRequests::HttpRequests(std::string host, std::uint16_t port) : host_(canonical_host(host)), port_(port) {}
HttpRequests::~HttpRequests() = default;
HttpRequests::HttpRequests(HttpRequests&&) noexcept = default;

Result<std::size_t> HttpRequests::agreed(Bytes bytes) {
  const auto text = as_text(bytes);
  std::size_t taken = 0;
  while (taken < text.size()) {
    if (!parser_ || parser_->is_done()) parser_ = std::make_unique<Parser>(host_, port_);
    const auto rest = text.substr(taken);
    const auto part = parser_->take(rest);
    if (!part) return disagrees(part.error().doing);
    if (part->size == 0) break;
    // A trailer may hold fields that some would take for the head's.
    if (part->is_head || parser_->is_done())
      if (auto checked = parser_->check(rest.substr(0, part->is_head ? part->size : 0)); !checked)
        return checked.error();
    taken += part->size;
  }
  return taken;
}

}  // namespace nsrun
