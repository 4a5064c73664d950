#include "host/dialers/loop_resolver.h"

#include "host/dialers/name_server_dialer.h"
#include "host/names/host_resolver.h"

namespace nsrun {
namespace {

// Asio's way to keep one object for each io_context. Tasks that still wait when the io_context goes are
// destroyed before its services are.
class Service final : public asio::execution_context::service {
 public:
  using key_type = Service;
  static inline asio::execution_context::id id;

  explicit Service(asio::io_context& context)
      : service(context), servers_(context.get_executor()), resolver(context.get_executor(), servers_) {}
  void shutdown() override {}

 private:
  NameServerDialer servers_;  // no policy in front: they are the host's own

 public:
  HostResolver resolver;
};

}  // namespace

HostResolver& loop_resolver(Executor executor) {
  return asio::use_service<Service>(executor.context()).resolver;
}

}  // namespace nsrun
