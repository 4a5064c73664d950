#include "tests/support/service_world.h"

#include "host/dialers/direct_dialer.h"
#include "tests/support/dialers_far_side.h"

namespace nsrun::test {

void ServiceWorld::run(Task<> body) {
  const auto to_the_end = [](ServiceWorld& world, Task<> test) -> Task<> {
    std::exception_ptr failure;
    try {
      co_await std::move(test);
    } catch (...) {
      failure = std::current_exception();
    }
    co_await world.service.end_sources();
    co_await world.service.drain({});
    if (failure) std::rethrow_exception(failure);
  };
  loop.run(to_the_end(*this, std::move(body)));
}

void ServiceWorld::flow_ended(const FlowRecord& record) {
  ended.push_back(record.dialled() + " " + std::string(to_string(record.end)));
}

EndpointUrl url(const std::string& text) { return EndpointUrl::parse(text).value(); }

Task<std::unique_ptr<Connection>> connect_to(Executor executor, std::uint16_t port) {
  DirectDialer dialer(executor);
  const Target target{Protocol::tcp, {loopback4, port}, {}, {}};
  auto dialled = co_await dialer.dial(target);
  co_return std::move(dialled.value());
}

Task<std::string> read_until(Connection& from, std::string end) {
  std::string text;
  while (!text.ends_with(end)) {
    char byte = 0;
    const auto chunk = co_await from.read(std::as_writable_bytes(std::span(&byte, 1)));
    if (!chunk || chunk->end) break;
    text += byte;
  }
  co_return text;
}

Task<std::string> next_of(Connection& from) {
  std::string text(65'536, '\0');
  const auto chunk = co_await from.read(std::as_writable_bytes(std::span(text)));
  std::string broken = "broken", end = "end";
  if (!chunk) co_return broken;
  if (chunk->end) co_return end;
  text.resize(chunk->size);
  co_return text;
}

Task<> until(std::function<bool()> condition) {
  while (!condition()) co_await give_way();
}

}  // namespace nsrun::test
