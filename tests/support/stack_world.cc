#include "tests/support/stack_world.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <ostream>
#include <stdexcept>

#include "host/flow/relay.h"
#include "host/flow/socket_connection.h"
#include "runtime/delivery_error.h"

namespace nsrun::test {
namespace {

// Hides that a connection is a socket, so that the relay cannot take its fast path.
class Opaque final : public Connection, public DatagramEnd {
 public:
  explicit Opaque(std::unique_ptr<Connection> inner) : inner_(std::move(inner)) {}
  Transport transport() const override { return inner_->transport(); }
  Task<Result<Chunk>> read(MutableBytes into) override { return inner_->read(into); }
  Task<Result<void>> write(Bytes bytes) override { return inner_->write(bytes); }
  void finish() override { inner_->finish(); }
  void reset() override { inner_->reset(); }
  std::optional<DeliveryError> next_undelivered() override {
    auto* const end = dynamic_cast<DatagramEnd*>(inner_.get());
    return end ? end->next_undelivered() : std::nullopt;
  }

 private:
  std::unique_ptr<Connection> inner_;
};

void must(bool worked) {
  if (!worked) throw ErrorException(errno_error("cannot make a pair of sockets"));
}

UniqueFd loopback_socket(int type, int buffer) {
  UniqueFd fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  must(fd.get() >= 0);
  if (buffer > 0) {
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  }
  SocketAddress address(Endpoint{IpAddress::v4(127, 0, 0, 1), 0});
  must(::bind(fd.get(), address.get(), address.length) == 0);
  return fd;
}

void connect_to(int fd, int other) {
  SocketAddress address;
  must(::getsockname(other, address.get(), &address.length) == 0);
  must(::connect(fd, address.get(), address.length) == 0);
}

}  // namespace

std::pair<UniqueFd, UniqueFd> socket_pair(Transport transport, int buffer) {
  const bool stream = transport == Transport::stream;
  auto one = loopback_socket(stream ? SOCK_STREAM : SOCK_DGRAM, buffer);
  auto other = loopback_socket(stream ? SOCK_STREAM : SOCK_DGRAM, buffer);
  if (stream) {
    must(::listen(other.get(), 1) == 0);
    connect_to(one.get(), other.get());
    other.reset(::accept4(other.get(), nullptr, nullptr, SOCK_CLOEXEC));
    must(other.get() >= 0);
  } else {
    connect_to(one.get(), other.get());
    connect_to(other.get(), one.get());
  }
  for (const int fd : {one.get(), other.get()}) ::fcntl(fd, F_SETFL, O_NONBLOCK);
  return {std::move(one), std::move(other)};
}

std::ostream& operator<<(std::ostream& out, const Setting& setting) {
  return out << (setting.path == Path::fast ? "fast path" : "generic path") << ", IPv" << (setting.v6 ? 6 : 4)
             << (setting.offloads ? ", offloads" : ", no offloads");
}

std::vector<Setting> every_setting() {
  std::vector<Setting> all;
  for (const Path path : {Path::fast, Path::generic})
    for (const bool v6 : {false, true})
      for (const bool offloads : {true, false}) all.push_back({path, v6, offloads});
  return all;
}

// ---- Far

std::size_t Far::send(Bytes bytes) {
  const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  return sent < 0 ? 0 : static_cast<std::size_t>(sent);
}

void Far::finish() { ::shutdown(socket_.get(), SHUT_WR); }

void Far::reset() {
  const linger at_once{1, 0};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  socket_.reset();
}

void Far::read() {
  std::array<std::byte, 65'536> room;
  while (!ended && !broken) {
    const ssize_t got = ::recv(socket_.get(), room.data(), room.size(), 0);
    if (got < 0 && errno == EAGAIN) return;
    ended = got == 0;
    broken = got < 0;
    if (got > 0) received.insert(received.end(), room.begin(), room.begin() + got);
  }
}

void Far::read_datagrams() {
  std::array<std::byte, 65'536> room;
  for (;;) {
    const ssize_t got = ::recv(socket_.get(), room.data(), room.size(), 0);
    if (got < 0) return;
    datagrams.emplace_back(room.begin(), room.begin() + got);
  }
}

// ---- StackWorld

StackWorld::StackWorld(Setting setting_, StackOptions options)
    : setting(setting_),
      device(setting_.offloads),
      scope(context.get_executor()),
      direct_(context.get_executor()) {
  stack = std::make_unique<Stack>(
      context, device, options,
      [this](std::unique_ptr<Request> request) { requests.push_back(std::move(request)); }, *this);
  scope.spawn(stack->run());
}

StackWorld::~StackWorld() {
  scope.cancel();
  context.restart();
  while (scope.size() > 0 && context.run_one_for(1s) > 0) {
  }
  stack.reset();
}

bool StackWorld::until(const std::function<bool()>& fact, Clock::duration limit) {
  const auto deadline = Clock::now() + limit;
  for (;;) {
    context.restart();
    context.poll();
    hear();
    if (fact()) return true;
    if (Clock::now() > deadline) return false;
    context.restart();
    context.run_one_for(1ms);
  }
}

void StackWorld::rest() {
  const auto busy = [this] {
    context.restart();
    return context.poll() > 0;
  };
  for (int quiet = 0; quiet < 3;) {
    const bool worked = busy();
    const bool heard = !device.from_stack.empty();
    hear();
    quiet = worked || heard || device.waiting() > 0 ? 0 : quiet + 1;
  }
}

void StackWorld::run_for(Clock::duration time) {
  until([] { return false; }, time);
}

void StackWorld::hear() {
  while (!device.from_stack.empty()) {
    const auto seen = see(device.from_stack.front());
    device.from_stack.pop_front();
    if (!seen.sums_good) ++bad_sums;
    const auto guest = guests_.find({{seen.to, seen.to_port}, {seen.from, seen.from_port}});
    if (seen.protocol == 6 && guest != guests_.end())
      guest->second->hear(seen);
    else
      others.push_back(seen);
  }
}

Endpoint StackWorld::guest(std::uint16_t port) const {
  const NetworkOptions network;
  return {setting.v6 ? network.guest6 : network.guest4, port};
}

Endpoint StackWorld::target(std::uint16_t port) const {
  return {setting.v6 ? *IpAddress::parse("2001:db8::7") : IpAddress::v4(192, 0, 2, 7), port};
}

GuestTcp& StackWorld::tcp(std::uint16_t port, std::uint16_t target_port) {
  auto& slot = guests_[{guest(port), target(target_port)}];
  slot = std::make_unique<GuestTcp>(device, guest(port), target(target_port));
  return *slot;
}

GuestTcp& StackWorld::answering(const Seen& syn) {
  const Endpoint own{syn.to, syn.to_port}, asker{syn.from, syn.from_port};
  auto& slot = guests_[{own, asker}];
  slot = std::make_unique<GuestTcp>(device, own, asker);
  return *slot;
}

void StackWorld::forget_guest(const GuestTcp& guest) { guests_.erase({guest.own(), guest.target()}); }

std::unique_ptr<Request> StackWorld::request() {
  if (!until([this] { return !requests.empty(); })) throw std::runtime_error("no request came");
  auto next = std::move(requests.front());
  requests.pop_front();
  return next;
}

std::unique_ptr<Far> StackWorld::carry(std::unique_ptr<Request> request) {
  auto near = request->accept();
  return near ? carry(std::move(near), request->key()) : nullptr;
}

std::unique_ptr<Far> StackWorld::carry(std::unique_ptr<Connection> near, const FlowKey& key, bool far_asked) {
  const auto transport = near->transport();
  auto [inner, outer] = socket_pair(transport, far_buffer);
  auto record = std::make_unique<FlowRecord>(1, key, *this, flows);
  if (setting.path == Path::fast) {
    if (!near->carry_on(inner, record, far_asked)) throw std::runtime_error("the fast path was refused");
  } else {
    auto socket = std::make_unique<SocketConnection>(context.get_executor(), std::move(inner), transport);
    std::unique_ptr<Connection> far = std::make_unique<Opaque>(std::move(socket));
    if (far_asked) std::swap(near, far);
    scope.spawn(relay(std::move(near), std::move(far), std::move(record)));
  }
  return std::make_unique<Far>(std::move(outer));
}

void StackWorld::dial(std::unique_ptr<Request> request) { dial(std::move(request), direct_); }

void StackWorld::dial(std::unique_ptr<Request> request, Dialer& dialer) {
  scope.spawn([](StackWorld& world, std::unique_ptr<Request> asked, Dialer& by) -> Task<> {
    const FlowKey key = asked->key();
    auto record = std::make_unique<FlowRecord>(1, key, world, world.flows);
    const Target target{key.protocol, key.target, {}, key.source};
    record->dials(target);
    auto far = co_await by.dial(target);
    if (!far) co_return asked->refuse(refusal_for(far.error()));
    (void)asked->prepare(**far, false);
    auto near = asked->accept();
    if (!near) co_return;
    auto end = std::move(*far);
    if (world.setting.path == Path::generic) end = std::make_unique<Opaque>(std::move(end));
    co_await relay(std::move(near), std::move(end), std::move(record));
  }(*this, std::move(request), dialer));
}

std::pair<GuestTcp&, std::unique_ptr<Far>> StackWorld::connected(std::uint16_t port) {
  auto& guest_end = tcp(port);
  guest_end.syn();
  auto far = carry(request());
  if (!far || !until([&] { return guest_end.connected; }))
    throw std::runtime_error("no connection came about");
  rest();
  return {guest_end, std::move(far)};
}

}  // namespace nsrun::test
