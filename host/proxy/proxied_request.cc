#include "host/proxy/proxied_request.h"

#include <array>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/field.hpp>

#include "host/http/absolute_target.h"
#include "host/http/head.h"

namespace nsrun {
namespace {

namespace http = boost::beast::http;
using boost::beast::iequals;

constexpr std::array of_one_hop = {"Connection",         "Proxy-Connection",    "Keep-Alive", "Upgrade",
                                   "Proxy-Authenticate", "Proxy-Authorization", "TE",         "Trailer"};
constexpr std::array of_the_message = {"Content-Length", "Transfer-Encoding", "Host"};

Error wrong(std::string why) { return {std::move(why), errno_code(EPROTO)}; }

// Takes down what a head says of its framing, so that no two readers can understand it differently.
class Parser final : public RequestParser {
 public:
  bool is_ambiguous() const { return lengths_ + codings_ > 1 || other_coding_; }

 private:
  void on_field_impl(http::field name, string_view, string_view value, Code&) override {
    if (name == http::field::content_length) ++lengths_;
    if (name == http::field::transfer_encoding) {
      ++codings_;
      other_coding_ = !iequals(value, "chunked");
    }
  }
  int lengths_ = 0, codings_ = 0;
  bool other_coding_ = false;
};

// "METHOD TARGET HTTP/1.x", which the parser has checked.
struct RequestLine {
  std::string method, target, version;
};

RequestLine split(const std::string& line) {
  const auto first = line.find(' '), last = line.rfind(' ');
  return {line.substr(0, first), line.substr(first + 1, last - first - 1), line.substr(last + 1)};
}

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t");
  return begin == text.npos ? std::string_view{}
                            : text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

template <class Each>
void each_token(const std::vector<std::string>& values, Each each) {
  for (std::string_view value : values)
    while (!value.empty()) {
      const auto token = value.substr(0, value.find(','));
      each(trimmed(token));
      value.remove_prefix(std::min(value.size(), token.size() + 1));
    }
}

bool has_token(const HttpHead& head, std::string_view name, std::string_view wanted) {
  bool found = false;
  each_token(head.values(name), [&](std::string_view token) { found |= iequals(token, wanted); });
  return found;
}

// Where a request that is no CONNECT goes; its target becomes what the server is asked for.
Result<Authority> find_host(RequestLine& line, const HttpHead& head) {
  const auto hosts = head.values("Host");
  if (hosts.size() > 1) return wrong("the request names two hosts");
  if (line.target.starts_with('/') || line.target == "*") {
    auto host = hosts.empty() ? std::nullopt : Authority::parse(hosts[0], ProxiedRequests::http_port);
    if (!host) return wrong("the request names no host");
    return *host;
  }
  const auto url = AbsoluteTarget::parse(line.target);
  if (!url || !iequals(url->scheme, "http")) return wrong("only http:// URLs can be asked for");
  auto host = Authority::parse(url->authority, ProxiedRequests::http_port);
  if (!host) return wrong("the request names no host");
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

void remove_hop_by_hop(HttpHead& head) {
  std::vector<std::string> named;
  each_token(head.values("Connection"), [&](std::string_view token) {
    for (const auto* kept : of_the_message)
      if (iequals(token, kept)) return;
    named.emplace_back(token);
  });
  for (const auto& name : named) head.remove(name);
  for (const auto* name : of_one_hop) head.remove(name);
}

Result<ProxiedRequest> ProxiedRequests::take(std::string_view bytes, std::size_t& size) const {
  auto parser = std::make_unique<Parser>();
  const auto part = parser->take(bytes);
  if (!part) return part.error();
  size = part->size;
  if (size == 0) return ProxiedRequest{};
  if (parser->is_ambiguous()) return wrong("the request tells its length in two ways, or in none we know");
  return rewrite(bytes.substr(0, size), std::move(parser));
}

Result<ProxiedRequest> ProxiedRequests::rewrite(std::string_view text,
                                                std::unique_ptr<RequestParser> parser) const {
  HttpHead head(text);
  auto line = split(head.first_line);
  ProxiedRequest request;
  if (line.version != "HTTP/1.1" && line.version != "HTTP/1.0") return wrong("it is not HTTP/1.0 or 1.1");
  request.is_connect = line.method == "CONNECT";
  if (request.is_connect) {
    const auto where = Authority::parse(line.target, connect_port);
    if (!where) return wrong("CONNECT names no host");
    request.where = *where;
    return request;
  }
  const auto where = find_host(line, head);
  if (!where) return where.error();
  bool is_loop = false;
  each_token(head.values("Via"), [&](std::string_view hop) { is_loop |= hop.ends_with(" " + pseudonym_); });
  if (is_loop) return wrong("this proxy is asked for what it asks for itself");
  request.where = *where;
  request.asks_head = line.method == "HEAD";
  request.keeps_alive = line.version == "HTTP/1.1" && !has_token(head, "Connection", "close") &&
                        !has_token(head, "Proxy-Connection", "close");
  remove_hop_by_hop(head);
  head.first_line = line.method + " " + line.target + " " + line.version;
  head.set("Host", host_field(*where));
  head.add("Via", line.version.substr(5) + " " + pseudonym_);
  request.head = head.to_string();
  request.rest = std::move(parser);
  return request;
}

}  // namespace nsrun
