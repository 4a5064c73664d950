// RFC 1928 and 1929 as a server, one association or connection per client.

#include <sys/socket.h>

#include <array>
#include <vector>

#include "host/dialers/direct_dialer.h"
#include "tests/support/dialers_proxies.h"

namespace nsrun::test {
namespace {

struct Proxy {
  Loop& loop;
  const ProxyOptions& options;
  ProxySeen& seen;
  Signal& end_associations;
};

Task<std::string> take(Connection& client, std::size_t size) {
  std::string bytes(size, '\0');
  (co_await read_exactly(client, std::as_writable_bytes(std::span(bytes)))).value();
  co_return bytes;
}

std::uint16_t port_of(std::string_view two) {
  return static_cast<std::uint16_t>(static_cast<unsigned char>(two[0]) << 8 |
                                    static_cast<unsigned char>(two[1]));
}

// Type, address, port.
std::string encode(const Endpoint& endpoint) {
  const auto& address = endpoint.address;
  std::string out(1, address.is_v4() ? 1 : 4);
  out.append(reinterpret_cast<const char*>(address.data()), address.size());
  out += static_cast<char>(endpoint.port >> 8);
  out += static_cast<char>(endpoint.port & 0xff);
  return out;
}

Target decode(char type, std::string_view rest) {
  Target target;
  if (type == 1) target.endpoint.address = IpAddress::v4_from(rest.data());
  if (type == 4) target.endpoint.address = IpAddress::v6_from(rest.data());
  if (type == 3) target.name = rest.substr(0, rest.size() - 2);
  target.endpoint.port = port_of(rest.substr(rest.size() - 2));
  return target;
}

Task<Target> take_target(Connection& client, char type) {
  std::size_t size = type == 1 ? 4 : 16;
  if (type == 3) size = static_cast<unsigned char>((co_await take(client, 1))[0]);
  const auto rest = co_await take(client, size + 2);
  co_return decode(type, rest);
}

char reply_code(const Error& error) {
  switch (error.code.value()) {
    case EACCES:
      return 2;
    case ENETUNREACH:
      return 3;
    case EHOSTUNREACH:
      return 4;
    case ECONNREFUSED:
      return 5;
    default:
      return 1;
  }
}

Task<bool> logged_in(Connection& client, const ProxyOptions& options) {
  const auto start = co_await take(client, 2);
  const auto methods = co_await take(client, static_cast<unsigned char>(start[1]));
  const char wanted = options.wants ? 2 : 0;
  if (methods.find(wanted) == methods.npos) {
    co_await write_all(client, "\x05\xff");
    co_return false;
  }
  const std::string choice{5, wanted};
  co_await write_all(client, choice);
  if (!options.wants) co_return true;
  const auto user_length = (co_await take(client, 2))[1];
  const auto user = co_await take(client, static_cast<unsigned char>(user_length));
  const auto password_length = (co_await take(client, 1))[0];
  const auto password = co_await take(client, static_cast<unsigned char>(password_length));
  const bool right = user == options.wants->user && password == options.wants->password;
  const std::string status{1, static_cast<char>(right ? 0 : 1)};
  co_await write_all(client, status);
  co_return right;
}

Task<> connect(const Proxy& proxy, Connection& client, const Target& target) {
  DirectDialer direct(proxy.loop.executor());
  auto far = co_await direct.dial(target);
  const char code = far ? '\0' : reply_code(far.error());
  auto answer = std::string{5, code, 0} + encode({loopback4, 1});
  if (far) answer += proxy.options.after_answer;
  co_await write_all(client, answer);
  if (far) co_await splice(client, **far);
}

// Client to target: the first datagram says where. The relay is not connected, to learn the client from it.
struct Relay {
  UniqueFd socket;
  SocketAddress client;
  Endpoint target;
};

Task<> to_target(Relay& relay, Descriptor& descriptor, Connection& far) {
  std::vector<char> buffer(65536);
  while (true) {
    const auto n = ::recvfrom(relay.socket.get(), buffer.data(), buffer.size(), 0, relay.client.get(),
                              &(relay.client.length = sizeof relay.client.storage));
    if (n < 0) {
      co_await descriptor.async_wait(Descriptor::wait_read, use_task);
      continue;
    }
    const std::size_t header = 3 + encode(relay.target).size();
    const auto payload = std::string_view(buffer.data(), static_cast<std::size_t>(n)).substr(header);
    (co_await far.write(as_bytes(payload))).value();
  }
}

Task<> to_client(Relay& relay, Connection& far) {
  std::vector<std::byte> buffer(65536);
  while (true) {
    const auto chunk = (co_await far.read(buffer)).value();
    const auto out =
        std::string(3, '\0') + encode(relay.target) + std::string(as_text(Bytes(buffer).first(chunk.size)));
    ::sendto(relay.socket.get(), out.data(), out.size(), 0, relay.client.get(), relay.client.length);
  }
}

Task<> until_closed(Connection& client) {
  std::array<std::byte, 64> ignored;
  while (true) {
    const auto chunk = co_await client.read(ignored);
    if (!chunk || chunk->end) co_return;
  }
}

// Until the client leaves, or the test says so.
Task<> association_end(Connection& client, Signal& ended) {
  co_await either(until_closed(client), ended.wait());
}

Task<> relay_datagrams(Relay& relay, Executor executor) {
  Descriptor descriptor(executor, ::dup(relay.socket.get()));
  co_await descriptor.async_wait(Descriptor::wait_read, use_task);
  char first[32];
  const auto n = ::recv(relay.socket.get(), first, sizeof first, MSG_PEEK);
  if (n < 10) co_return;
  relay.target = decode(first[3], std::string_view(first + 4, first[3] == 1 ? 6 : 18)).endpoint;
  DirectDialer direct(executor);
  const Target target{Protocol::udp, relay.target, {}};
  const auto far = (co_await direct.dial(target)).value();
  co_await both(to_target(relay, descriptor, *far), to_client(relay, *far));
}

Task<> associate(const Proxy& proxy, Connection& client) {
  Relay relay{bound_socket(proxy.options.listen, SOCK_DGRAM), {}, {}};
  const Endpoint bound{proxy.options.says_bound, bound_endpoint(relay.socket.get()).port};
  const auto answer = std::string{5, 0, 0} + encode(bound);
  co_await write_all(client, answer);
  co_await either(association_end(client, proxy.end_associations),
                  relay_datagrams(relay, proxy.loop.executor()));
}

Task<> serve(Proxy proxy, std::unique_ptr<Connection> client) {
  if (!co_await logged_in(*client, proxy.options)) co_return;
  const auto request = co_await take(*client, 4);
  auto target = co_await take_target(*client, request[3]);
  proxy.seen.last_target = target.to_string().substr(4);
  if (proxy.options.silent) co_return co_await until_closed(*client);
  if (request[1] == 1) co_await connect(proxy, *client, target);
  if (request[1] == 3) co_await associate(proxy, *client);
}

}  // namespace

Target start_socks5_proxy(Loop& loop, const ProxyOptions& options, ProxySeen& seen,
                          Signal& end_associations) {
  auto listener = listening_socket(options.listen);
  const Target target{Protocol::tcp, bound_endpoint(listener.get()), {}};
  const Proxy proxy{loop, options, seen, end_associations};
  serve_stream(loop, std::move(listener),
               [proxy](std::unique_ptr<Connection> client) { return serve(proxy, std::move(client)); });
  return target;
}

}  // namespace nsrun::test
