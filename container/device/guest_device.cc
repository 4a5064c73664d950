#include "container/device/guest_device.h"

#include "container/device/tun.h"
#include "container/device/veth.h"
#include "runtime/namespace_error.h"

namespace nsrun {
namespace {

Result<GuestDevice> as_device(Result<std::vector<UniqueFd>> opened) {
  if (!opened) return explain_missing_capability(opened.error(), read_namespace_settings());
  return GuestDevice{std::move(*opened)};
}

}  // namespace

Result<GuestDevice> open_guest_device(const NetworkOptions& network, std::size_t queues, bool offload) {
  if (!offload && network.device_kind == DeviceKind::veth)
    return Error{"a child that carries packets itself needs a TUN device", {}, "leave out DeviceKind::veth"};
  if (network.device_kind == DeviceKind::veth)
    return as_device(open_veth(network.device, network.mtu, queues));
  auto tun = as_device(open_tun_queues(network.device, queues, offload));
  if (tun || !offload || network.device_kind == DeviceKind::tun) return tun;
  auto veth = as_device(open_veth(network.device, network.mtu, queues));
  if (!veth)
    return Error{
        tun.error().message() + "; and in its place " + veth.error().message(), {}, {}, veth.error().exit};
  veth->why_not_tun = tun.error();
  return veth;
}

}  // namespace nsrun
