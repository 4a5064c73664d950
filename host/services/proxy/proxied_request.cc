#include "host/services/proxy/proxied_request.h"

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/field.hpp>

#include "host/http/absolute_target.h"
#include "host/http/head.h"

namespace nsrun {
namespace {

namespace http = boost::beast::http;
using boost::beast::iequals;

Error wrong_request(std::string why) { return {std::move(why), errno_code(EPROTO)}; }

// Takes down what a head says of its framing, so that no two readers can understand it differently.
class ProxiedRequestParser final : public RequestParser {
 public:
  bool is_ambiguous() const { return lengths_ + codings_ > 1 || other_coding_ || (codings_ > 0 && is_old_); }

 private:
  void on_request_impl(http::verb, string_view, string_view, int version, Code&) override {
    is_old_ = version == 10;  // a server that knows no chunks takes them for the next request (RFC 9112 6.1)
  }
  void on_field_impl(http::field name, string_view, string_view value, Code&) override {
    if (name == http::field::content_length) lengths_ += value.find(',') == value.npos ? 1 : 2;
    if (name == http::field::transfer_encoding) {
      ++codings_;
      other_coding_ = !iequals(value, "chunked");
    }
  }
  int lengths_ = 0, codings_ = 0;
  bool other_coding_ = false, is_old_ = false;
};

// "METHOD TARGET HTTP/1.x", which the parser has checked.
struct RequestLine {
  std::string method, target, version;
};

RequestLine split(const std::string& line) {
  const auto first = line.find(' '), last = line.rfind(' ');
  return {line.substr(0, first), line.substr(first + 1, last - first - 1), line.substr(last + 1)};
}

// Where a request that is no CONNECT goes; its target becomes what the server is asked for.
Result<Authority> find_host(RequestLine& line, const HttpHead& head) {
  const auto hosts = head.values("Host");
  if (hosts.size() > 1) return wrong_request("the request names two hosts");
  if (line.target.starts_with('/') || line.target == "*") {
    auto host = hosts.empty() ? std::nullopt : Authority::parse(hosts[0], ProxiedRequests::http_port);
    if (!host) return wrong_request("the request names no host");
    return *host;
  }
  const auto url = AbsoluteTarget::parse(line.target);
  if (!url || !iequals(url->scheme, "http")) return wrong_request("only http:// URLs can be asked for");
  auto host = Authority::parse(url->authority, ProxiedRequests::http_port);
  if (!host) return wrong_request("the request names no host");
  const bool asks_server = url->rest.empty() && line.method == "OPTIONS";
  std::string target = asks_server ? "*" : url->rest.starts_with('/') ? "" : "/";
  target += url->rest;
  line.target = std::move(target);  // of which the URL is a view
  return *host;
}

// As a client would write it: without the port that is http's.
std::string host_field(const Authority& where) {
  const auto text = where.to_string();
  return where.port == ProxiedRequests::http_port ? text.substr(0, text.rfind(':')) : text;
}

}  // namespace

Result<ProxiedRequest> ProxiedRequests::take(std::string_view bytes, std::size_t& size,
                                             std::unique_ptr<RequestParser>& parser) const {
  if (!parser) parser = std::make_unique<ProxiedRequestParser>();
  const auto part = parser->take(bytes);
  if (!part) return part.error();
  size = part->size;
  if (size == 0) return ProxiedRequest{};
  if (static_cast<const ProxiedRequestParser&>(*parser).is_ambiguous())
    return wrong_request("the request tells its length in two ways, or in none we know");
  return rewrite(bytes.substr(0, size), std::move(parser));
}

Result<ProxiedRequest> ProxiedRequests::rewrite(std::string_view text,
                                                std::unique_ptr<RequestParser> parser) const {
  // RFC 9112 5.2
  if (text.find("\n ") != text.npos || text.find("\n\t") != text.npos)
    return wrong_request("a field is folded over two lines");
  HttpHead head(text);
  auto line = split(head.first_line);
  ProxiedRequest request;
  if (line.version != "HTTP/1.1" && line.version != "HTTP/1.0")
    return wrong_request("it is not HTTP/1.0 or 1.1");
  request.is_connect = line.method == "CONNECT";
  if (request.is_connect) {
    const auto where = Authority::parse(line.target, connect_port);
    if (!where) return wrong_request("CONNECT names no host");
    request.where = *where;
    return request;
  }
  const auto where = find_host(line, head);
  if (!where) return where.error();
  const auto is_ours = [&](const std::string& hop) { return hop.ends_with(" " + pseudonym_); };
  if (std::ranges::any_of(head.tokens("Via"), is_ours))
    return wrong_request("this proxy is asked for what it asks for itself");
  request.where = *where;
  request.asks_head = line.method == "HEAD";
  request.keeps_alive = line.version == "HTTP/1.1" && !head.has_token("Connection", "close") &&
                        !head.has_token("Proxy-Connection", "close");
  head.remove_hop_by_hop();
  head.first_line = line.method + " " + line.target + " " + line.version;
  head.set("Host", host_field(*where));
  head.add("Via", line.version.substr(5) + " " + pseudonym_);
  request.head = head.to_string();
  request.rest = std::move(parser);
  return request;
}

}  // namespace nsrun
