#include "host/inspect/inspect.h"

#include "host/inspect/inspected_beginning.h"
#include "host/inspect/inspected_requests.h"

namespace nsrun {

Task<std::unique_ptr<Connection>> inspect(std::unique_ptr<Connection> near, Connection& far,
                                          const Verdict& verdict, FlowRecord& record) {
  const auto& target = record.key.target;
  if (verdict.inspection == Inspection::http) {
    const auto host = verdict.name.empty() ? target.address.to_string() : verdict.name.str();
    co_return std::make_unique<InspectedRequests>(std::move(near), HttpRequests(host, target.port), record);
  }
  TlsExpectation expected{.only_tls = verdict.inspection == Inspection::tls,
                          .permits = verdict.permits_server};
  if (verdict.inspection != Inspection::refused) expected.name = verdict.name;
  TlsOpening opening(std::move(expected));
  const bool agreed = co_await inspect_beginning(*near, far, opening, record);
  if (!agreed) near.reset();
  co_return near;
}

}  // namespace nsrun
