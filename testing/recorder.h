#pragma once

#include <list>

#include "host/dialers/direct_dialer.h"
#include "testing/http_tap.h"
#include "testing/world_state.h"

namespace nsrun::testing {

// Leads to the real network, and writes down what goes there and comes back. TLS is ended here with the
// world's authority and begun again towards the server, which is verified as the system would.
class Recorder final : public UndeclaredDialer {
 public:
  // While it lives, the world's flows that nothing is declared for come here.
  explicit Recorder(WorldState& world);
  ~Recorder() override;

  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override;
  bool knows(const Subject&) const override { return true; }

  // What was recorded, once every flow has ended. An error: it is too much.
  Result<Recording> take();

  // A flow that is being recorded.
  struct Track {
    RecordedFlow flow;
    HttpTap tap = {};
    void saw(bool up, Bytes bytes);
  };

 private:
  Task<> carry(std::unique_ptr<Connection> near, std::unique_ptr<Connection> far, Track& track);
  Task<> carry_stream(std::unique_ptr<Connection> near, std::unique_ptr<Connection> far, Track& track);
  Task<> carry_tls(std::unique_ptr<Connection> near, std::unique_ptr<Connection> far, Track& track);
  Task<> relay(Connection& near, Connection& far, Track& track);
  Task<> pump(Connection& from, Connection& to, Track& track, bool up);

  WorldState& world_;
  DirectDialer direct_;
  std::list<Track> tracks_;
  std::size_t recorded_ = 0;  // bytes
};

}  // namespace nsrun::testing
