#include "tests/support/name_world.h"

#include <algorithm>
#include <boost/asio/post.hpp>

namespace nsrun::test {
namespace {

// Takes one message off the front of a stream's bytes, once it is whole.
std::optional<DnsBytes> take_framed(DnsBytes& bytes) {
  if (bytes.size() < 2) return std::nullopt;
  const auto size = std::to_integer<std::size_t>(bytes[0]) << 8 | std::to_integer<std::size_t>(bytes[1]);
  if (bytes.size() < 2 + size) return std::nullopt;
  const auto end = bytes.begin() + 2 + static_cast<std::ptrdiff_t>(size);
  DnsBytes message(bytes.begin() + 2, end);
  bytes.erase(bytes.begin(), end);
  return message;
}

// Our end of an exchange with a server.
class ToServer : public Connection {
 public:
  ToServer(Executor executor, Transport transport, Server server)
      : transport_(transport), server_(std::move(server)), from_server_(executor) {}
  Transport transport() const override { return transport_; }
  Task<Result<Chunk>> read(MutableBytes into) override {
    co_return co_await from_server_.read(into, transport_);
  }
  Task<Result<void>> write(Bytes bytes) override {
    DnsBytes query(bytes.begin(), bytes.end());
    if (transport_ == Transport::stream) query = take_framed(query).value();
    for (const DnsBytes& reply : server_(query))
      from_server_.send(transport_ == Transport::stream ? framed(reply) : reply);
    co_return Result<void>{};
  }
  void finish() override {}
  void reset() override {}

 private:
  const Transport transport_;
  const Server server_;
  Line from_server_;
};

class ToGuest : public Connection {
 public:
  explicit ToGuest(Guest& guest) : guest_(guest) {}
  Transport transport() const override { return guest_.transport; }
  Task<Result<Chunk>> read(MutableBytes into) override {
    co_return co_await guest_.to_server.read(into, guest_.transport);
  }
  Task<Result<void>> write(Bytes bytes) override {
    if (std::exchange(writing_, true)) co_return Error{"two writes at a time"};
    co_await asio::post(co_await asio::this_coro::executor, use_task);
    writing_ = false;
    if (guest_.transport == Transport::stream)
      guest_.stream.insert(guest_.stream.end(), bytes.begin(), bytes.end());
    else
      guest_.datagrams.emplace_back(bytes.begin(), bytes.end());
    guest_.answered.raise();
    co_return Result<void>{};
  }
  void finish() override { guest_.finished = true; }
  void reset() override { guest_.was_reset = true; }

 private:
  Guest& guest_;
  bool writing_ = false;
};

Task<> run_to_the_end(Sandbox& sandbox, Task<> (*body)(Sandbox&)) {
  co_await body(sandbox);
  for (Guest& guest : sandbox.guests) guest.hang_up();
  co_await sandbox.serving.join();
}

}  // namespace

const Endpoint first_server{IpAddress::v4(192, 0, 2, 1), 53};
const Endpoint second_server{IpAddress::v4(192, 0, 2, 2), 53};
const IpAddress an_address = IpAddress::v4(203, 0, 113, 1);

Replies silent(const DnsBytes&) { return {}; }
Replies answers(const DnsBytes& query) { return {encode_dns_reply(query, {.addresses = {an_address}})}; }
Server says(DnsCode code) {
  return [code](const DnsBytes& query) { return Replies{encode_dns_reply(query, {.code = code})}; };
}

DnsBytes framed(const DnsBytes& message) {
  DnsBytes bytes{static_cast<std::byte>(message.size() >> 8), static_cast<std::byte>(message.size())};
  bytes.insert(bytes.end(), message.begin(), message.end());
  return bytes;
}

void Line::send(DnsBytes bytes) {
  pieces_.push_back(std::move(bytes));
  arrived_.raise();
}

void Line::end() {
  ended_ = true;
  arrived_.raise();
}

Task<Chunk> Line::read(MutableBytes into, Transport transport) {
  while (pieces_.empty()) {
    if (ended_) co_return Chunk{.end = true};
    co_await arrived_.wait();
  }
  DnsBytes& piece = pieces_.front();
  const std::size_t size = std::min(into.size(), piece.size());
  std::copy_n(piece.begin(), size, into.begin());
  piece.erase(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(size));
  // What a datagram's reader had no room for is lost.
  if (piece.empty() || transport == Transport::datagram) pieces_.pop_front();
  co_return Chunk{.size = size};
}

Task<Result<std::unique_ptr<Connection>>> World::dial(const Target& target) {
  dialled.push_back(target.to_string());
  const auto found = servers.find({target.protocol, target.endpoint});
  if (found == servers.end()) co_return Error{"cannot connect", errno_code(ECONNREFUSED)};
  const auto transport = target.protocol == Protocol::tcp ? Transport::stream : Transport::datagram;
  co_return std::make_unique<ToServer>(executor_, transport, found->second);
}

Task<DnsBytes> Guest::next_answer() {
  while (true) {
    if (auto message = take_framed(stream)) co_return std::move(*message);
    if (!datagrams.empty()) {
      DnsBytes message = std::move(datagrams.front());
      datagrams.pop_front();
      co_return message;
    }
    co_await answered.wait();
  }
}

std::unique_ptr<Connection> Guest::connect() { return std::make_unique<ToGuest>(*this); }

Task<DnsBytes> answer_to(Guest& guest, DnsBytes query) {
  guest.ask(query);
  co_return co_await guest.next_answer();
}

Guest& Sandbox::guest(Transport transport) {
  if (!name_server) name_server.emplace(executor(), options);
  Guest& one = guests.emplace_back(executor(), transport);
  serving.spawn(name_server->serve(one.connect()));
  return one;
}

void Sandbox::run(Task<> (*body)(Sandbox&)) {
  std::exception_ptr failure;
  asio::co_spawn(context, run_to_the_end(*this, body), [&](std::exception_ptr thrown) {
    failure = thrown;
    context.stop();
  });
  context.run();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace nsrun::test
