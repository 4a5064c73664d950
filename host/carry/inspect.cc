#include "host/carry/inspect.h"

#include "host/carry/inspected_beginning.h"
#include "host/carry/inspected_requests.h"

namespace nsrun {
namespace {
constexpr std::size_t opening_cost = 32 << 10;  // bytes: two buffers, and a ClientHello of the largest size
}

Task<std::unique_ptr<Connection>> inspect(std::unique_ptr<Connection> near, Connection& far,
                                          const Verdict& verdict, FlowRecord& record, MemoryShare* memory) {
  const auto& target = record.key.target;
  if (verdict.inspection == Inspection::http) {
    const auto host = verdict.name.empty() ? target.address.to_string() : verdict.name.str();
    co_return std::make_unique<InspectedRequests>(std::move(near), HttpRequests(host, target.port), record,
                                                  memory);
  }
  TlsExpectation expected{.only_tls = verdict.inspection == Inspection::tls,
                          .permits = verdict.permits_server};
  if (verdict.inspection != Inspection::refused) expected.name = verdict.name;
  MemoryCharge charge(memory);
  if (!charge.add(opening_cost, MemoryUse::ahead)) {
    record.why = "the sandbox has reached its --network-memory limit";
    record.ended(FlowEnd::refused);
    near->reset();
    far.reset();
    co_return nullptr;
  }
  TlsOpening opening(std::move(expected));
  const bool agreed = co_await inspect_beginning(*near, far, opening, record);
  if (!agreed) near.reset();
  co_return near;
}

}  // namespace nsrun
