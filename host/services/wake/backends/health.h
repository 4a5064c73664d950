#pragma once

#include <memory>
#include <string>

#include "host/endpoints/endpoint_url.h"
#include "host/flow/dialer.h"
#include "host/services/wake/backend.h"

namespace nsrun {

// Whether what runs is ready to be used.
class Probe {
 public:
  virtual ~Probe() = default;
  virtual Task<bool> is_ready() = 0;
  virtual Clock::duration interval() const = 0;
};

// A connection can be made; it is closed at once. `stays`: who takes it may only find then that nobody is
// behind, so it counts once it was left open for so long.
Result<std::unique_ptr<Probe>> connect_probe(const EndpointUrl& where, Executor executor,
                                             Clock::duration stays = {});
// Somebody takes datagrams at `where`, which is one of this machine's own addresses (/proc/net/udp, udp6;
// proc(5)): no datagram can tell, for no answer is none.
std::unique_ptr<Probe> bound_probe(const EndpointUrl& where);
// A row of those: the socket has that port and address, or all addresses, and is for nobody in particular.
bool takes_datagrams(const std::string& row, const EndpointUrl& where);
// A GET is answered with 2xx or 3xx, whatever follows that. `url`: "http://HOST[:PORT]/PATH", or
// "http:///PATH" at `usual` (null: there is none). Errors have ExitCode::usage.
Result<std::unique_ptr<Probe>> http_probe(const std::string& url, const EndpointUrl* usual,
                                          Executor executor);
// A shell command ends with status 0.
std::unique_ptr<Probe> command_probe(std::string command, Executor executor);

// A backend that runs once the probe has succeeded; it is asked until then, and anew after each
// start, stop, and whatever the backend tells of: it may have been started anew by somebody else.
class ProbedBackend final : public Backend {
 public:
  ProbedBackend(std::unique_ptr<Backend> inner, std::unique_ptr<Probe> probe)
      : inner_(std::move(inner)), probe_(std::move(probe)) {}
  Task<Result<Status>> status() override;
  Task<Result<void>> start() override;
  Task<Result<void>> stop() override;
  void doubt() override { ask_anew(); }
  Task<> end() override { return inner_->end(); }
  Task<> watch(std::function<void()> changed) override;
  Pace pace() const override;

 private:
  void ask_anew();

  const std::unique_ptr<Backend> inner_;
  const std::unique_ptr<Probe> probe_;
  bool ready_ = false;
  unsigned changes_ = 0;  // since we began
  // The inner one ran: until then only the probe is asked, which may be far more often.
  Clock::time_point trusted_until_{};
};

}  // namespace nsrun
