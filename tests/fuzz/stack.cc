// Packets as a guest that is root in its sandbox could write them, into a whole Stack: what one flow takes,
// the others must survive. The input is a list of steps; the first byte of each says what it is.
//
//   0-3    a TCP segment of one of four flows: flags, offset from what is expected, options, data
//   4      a packet, as it stands
//   5      a UDP datagram, perhaps one of many put together
//   6      the answer to the oldest request
//   7      the far end reads, writes, finishes or goes

#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <deque>
#include <optional>
#include <vector>

#include "netstack/packet.h"
#include "netstack/stack.h"
#include "runtime/fd.h"

namespace {

using namespace nsrun;

// The bytes that are left of the input.
struct Input {
  const std::uint8_t* at;
  std::size_t left;

  bool empty() const { return left == 0; }
  std::uint8_t byte() {
    if (left == 0) return 0;
    --left;
    return *at++;
  }
  std::uint16_t word() {
    const auto high = byte();
    return static_cast<std::uint16_t>(high << 8 | byte());
  }
  std::vector<std::byte> bytes(std::size_t most) {
    const std::size_t size = std::min(left, most);
    std::vector<std::byte> out(size);
    if (size > 0) std::memcpy(out.data(), at, size);
    at += size;
    left -= size;
    return out;
  }
};

// Packets wait here one by one; of what the stack writes, TCP's next sequence numbers are kept.
class OnePacket final : public Device {
 public:
  explicit OnePacket(bool offloads)
      : offloads_(offloads), readable_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  int fd() const override { return readable_.get(); }
  bool offloads() const override { return offloads_; }
  bool segments_udp() const override { return offloads_; }
  ReadStatus read(Offload& offload, MutableBytes packet, std::size_t& size) override {
    if (waiting_.empty()) return ReadStatus::empty;
    eventfd_t ignored;
    if (waiting_.size() == 1) ::eventfd_read(readable_.get(), &ignored);
    const auto bytes = std::move(waiting_.front());
    waiting_.pop_front();
    size = std::min(packet.size(), bytes.size());
    if (size > 0) std::memcpy(packet.data(), bytes.data(), size);
    offload = next_offload;
    return ReadStatus::packet;
  }
  void write(const Offload&, std::span<const iovec> parts) override {
    std::vector<std::byte> packet;
    for (const auto& part : parts) {
      const auto* begin = static_cast<const std::byte*>(part.iov_base);
      packet.insert(packet.end(), begin, begin + part.iov_len);
    }
    const auto seen = parse_packet(packet);
    if (!seen || seen->protocol != ip_protocol::tcp) return;
    const auto payload = seen->payload();
    const auto number = [&](std::size_t at) {
      return std::uint32_t{seen->word(at)} << 16 | seen->word(at + 2);
    };
    auto& flow = flows[seen->word(2) % flows.size()];
    const auto flags = tcp_flags(*seen);
    flow.theirs = number(4) + static_cast<std::uint32_t>(payload.size() - tcp_header_size(*seen)) +
                  ((flags & (TcpFlags::syn | TcpFlags::fin)) ? 1u : 0u);
    if (flags & TcpFlags::ack) flow.ours = number(8);
  }
  void send(std::vector<std::byte> packet) {
    ::eventfd_write(readable_.get(), 1);
    waiting_.push_back(std::move(packet));
  }

  struct Numbers {
    std::uint32_t ours = 1000, theirs = 0;
  };
  std::array<Numbers, 4> flows;
  Offload next_offload;

 private:
  const bool offloads_;
  UniqueFd readable_;
  std::deque<std::vector<std::byte>> waiting_;
};

Task<> use(Connection& connection, std::uint8_t how, std::vector<std::byte> bytes) {
  std::vector<std::byte> room(4096);
  if (how & 1) (void)co_await connection.read(room);
  if (how & 2) (void)co_await connection.write(bytes);
  if (how & 4) connection.finish();
  if (how & 8) connection.reset();
}

class Session final : public Events {
 public:
  explicit Session(Input input) : input_(input), device_(input_.byte() & 1), scope_(context_.get_executor()) {
    StackOptions options;
    options.max_pending_syns = 32;
    options.max_datagram_flows = 32;
    stack_.emplace(
        context_, device_, options, [this](auto request) { requests_.push_back(std::move(request)); }, *this);
    scope_.spawn(stack_->run());
  }
  ~Session() override {
    scope_.cancel();
    settle();
    connections_.clear();
    settle();
    stack_.reset();
  }

  void run() {
    while (!input_.empty()) {
      step();
      if (input_.byte() & 1) settle();
    }
    settle();
  }

 private:
  void settle() {
    context_.restart();
    for (int i = 0; i < 100 && context_.poll() > 0; ++i) context_.restart();
  }

  void step() {
    const auto kind = input_.byte() % 8;
    if (kind < 4) return device_.send(tcp_segment(kind));
    if (kind == 4) return device_.send(input_.bytes(input_.byte()));
    if (kind == 5) return datagram();
    if (kind == 6) return answer();
    // One read and one write at a time: the one before must be done.
    if (connections_.empty() || scope_.size() > 1) return;
    auto& connection = *connections_[input_.byte() % connections_.size()];
    const auto how = input_.byte();
    if (how & 16) return connections_.erase(connections_.begin()), void();
    scope_.spawn(use(connection, how, std::vector<std::byte>(input_.word())));
  }

  std::vector<std::byte> tcp_segment(int flow) {
    const auto& numbers = device_.flows[static_cast<std::size_t>(flow)];
    const auto offset = static_cast<std::int16_t>(input_.word());
    const std::uint32_t sequence = numbers.ours + static_cast<std::uint32_t>(input_.byte() & 1 ? offset : 0);
    const auto flags = input_.byte();
    const auto window = input_.word();
    auto options = input_.bytes(input_.byte() % 41);
    options.resize((options.size() + 3) / 4 * 4);
    const auto data = input_.bytes(input_.byte());
    const std::size_t repeat = 1 + (input_.byte() & 31) * 64;  // data may be long although the input is short
    std::vector<std::byte> segment(20);
    put(segment, 0, static_cast<std::uint32_t>(40'000 + flow) << 16 | 80);
    put(segment, 4, sequence);
    put(segment, 8, numbers.theirs);
    put(segment, 12, static_cast<std::uint32_t>((20 + options.size()) / 4 << 28 | flags << 16 | window));
    segment.insert(segment.end(), options.begin(), options.end());
    for (std::size_t i = 0; i < repeat && segment.size() + data.size() < 65'000; ++i)
      segment.insert(segment.end(), data.begin(), data.end());
    return with_ip(ip_protocol::tcp, segment, flow & 1);
  }

  void datagram() {
    const auto flow = input_.byte() % 64;
    auto data = input_.bytes(input_.byte());
    std::vector<std::byte> bytes(8);
    put(bytes, 0, static_cast<std::uint32_t>(50'000 + flow) << 16 | 53);
    put(bytes, 4, static_cast<std::uint32_t>(8 + data.size()) << 16);
    bytes.insert(bytes.end(), data.begin(), data.end());
    device_.next_offload = {};
    if (flow & 2) device_.next_offload.segmentation = Offload::segment_udp;
    device_.next_offload.segment_size = input_.byte();
    device_.send(with_ip(ip_protocol::udp, bytes, flow & 1));
  }

  void answer() {
    if (requests_.empty()) return;
    auto request = std::move(requests_.front());
    requests_.pop_front();
    const auto how = input_.byte();
    if (how < 8) return request->refuse(static_cast<Refusal>(how % 5));
    if (how < 16) return;
    if (auto connection = request->accept()) connections_.push_back(std::move(connection));
  }

  static void put(std::vector<std::byte>& bytes, std::size_t at, std::uint32_t value) {
    for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<std::byte>(value >> (24 - 8 * i));
  }
  static std::vector<std::byte> with_ip(std::uint8_t protocol, const std::vector<std::byte>& payload,
                                        bool v6) {
    const NetworkOptions network;
    const auto from = v6 ? network.guest6 : network.guest4;
    const auto to = v6 ? *IpAddress::parse("2001:db8::1") : IpAddress::v4(192, 0, 2, 1);
    std::vector<std::byte> packet(60);
    packet.resize(make_ip_header(packet.data(), from, to, protocol, payload.size()));
    packet.insert(packet.end(), payload.begin(), payload.end());
    return packet;
  }

  Input input_;
  asio::io_context context_{1};
  OnePacket device_;
  Scope scope_;
  std::deque<std::unique_ptr<Request>> requests_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::optional<Stack> stack_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Session({data, std::min<std::size_t>(size, 8192)}).run();
  return 0;
}
