#include "host/dialers/socks5_dialer.h"

#include <sys/socket.h>

#include <array>

#include "host/dialers/socks5_association.h"

namespace nsrun {
namespace {

using Dialled = Result<std::unique_ptr<Connection>>;

// Exactly the reply's bytes: the next one is the target's already.
Task<Result<socks5::Address>> read_reply(Connection& proxy) {
  std::array<std::byte, socks5::max_datagram_header> reply;  // a reply is no longer than such a header
  const auto start = MutableBytes(reply).first(socks5::reply_start_length);
  if (auto read = co_await read_exactly(proxy, start); !read) co_return read.error();
  const auto length = socks5::reply_length(start);
  if (!length) co_return length.error();
  const auto whole = MutableBytes(reply).first(*length);
  if (auto read = co_await read_exactly(proxy, whole.subspan(start.size())); !read) co_return read.error();
  co_return socks5::parse_reply(whole);
}

}  // namespace

Socks5Dialer::Socks5Dialer(std::unique_ptr<Dialer> inner, Target proxy,
                           std::optional<Credentials> credentials, Clock::duration limit)
    : inner_(std::move(inner)),
      proxy_(std::move(proxy)),
      credentials_(std::move(credentials)),
      limit_(limit) {}

Task<Dialled> Socks5Dialer::dial(const Target& target) {
  if (target.protocol == Protocol::icmp)
    co_return Error{"SOCKS5 cannot carry " + target.to_string(), errno_code(EPROTONOSUPPORT)};
  auto connection = co_await inner_->dial(proxy_);
  if (!connection) co_return proxy_unreachable(proxy_.to_string(), connection.error());

  const bool tcp = target.protocol == Protocol::tcp;
  const auto command = tcp ? socks5::Command::connect : socks5::Command::udp_associate;
  auto bound = co_await within(limit_, negotiate(**connection, command, target));
  if (!bound) co_return proxy_timeout(proxy_.to_string());
  if (!*bound) co_return proxy_error(proxy_.to_string() + " for " + target.to_string(), bound->error());
  if (tcp) co_return connection;
  co_return co_await associate(std::move(*connection), **bound, target);
}

Task<Result<socks5::Address>> Socks5Dialer::negotiate(Connection& proxy, socks5::Command command,
                                                      const Target& target) {
  if (auto in = co_await log_in(proxy); !in) co_return in.error();
  // An association's address is where our datagrams will come from: not known yet, so all zeros.
  socks5::Address to;
  to.endpoint.address = IpAddress::v4(0, 0, 0, 0);
  if (command == socks5::Command::connect) to = {target.endpoint, target.name};
  const auto request = socks5::request(command, to);
  if (!request) co_return request.error();
  if (auto sent = co_await proxy.write(as_bytes(*request)); !sent) co_return sent.error();
  co_return co_await read_reply(proxy);
}

Task<Result<void>> Socks5Dialer::log_in(Connection& proxy) {
  const auto greeting = socks5::greeting(credentials_.has_value());
  if (auto sent = co_await proxy.write(as_bytes(greeting)); !sent) co_return sent;
  std::array<std::byte, socks5::method_length> choice;
  if (auto read = co_await read_exactly(proxy, choice); !read) co_return read;
  const auto method = socks5::parse_method(choice);
  if (!method) co_return method.error();
  if (*method == socks5::Method::none) co_return Result<void>{};

  if (!credentials_) co_return Error{"it wants a user and password", errno_code(EACCES)};
  const auto request = socks5::password_request(*credentials_);
  if (!request) co_return request.error();
  if (auto sent = co_await proxy.write(as_bytes(*request)); !sent) co_return sent;
  std::array<std::byte, socks5::password_answer_length> answer;
  if (auto read = co_await read_exactly(proxy, answer); !read) co_return read;
  co_return socks5::parse_password_answer(answer);
}

Task<Dialled> Socks5Dialer::associate(std::unique_ptr<Connection> control, const socks5::Address& bound,
                                      const Target& target) {
  Target relay{Protocol::udp, bound.endpoint, bound.name};
  // Many proxies say "here" with the unspecified address.
  if (relay.name.empty() && relay.endpoint.address.is_unspecified()) {
    SocketAddress peer;
    const bool known = ::getpeername(control->socket(), peer.get(), &peer.length) == 0;
    relay.endpoint.address = known ? peer.endpoint().address : proxy_.endpoint.address;
    if (!known) relay.name = proxy_.name;
  }
  auto datagrams = co_await inner_->dial(relay);
  if (!datagrams) co_return proxy_error(proxy_.to_string() + " relays by udp", datagrams.error());
  const socks5::Address to{target.endpoint, target.name};
  const auto header = socks5::datagram_header(to);
  if (!header) co_return header.error();
  co_return std::make_unique<Socks5Association>(std::move(control), std::move(*datagrams), to, *header);
}

}  // namespace nsrun
