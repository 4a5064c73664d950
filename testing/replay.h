#pragma once

#include <map>
#include <tuple>

#include "testing/http_server.h"
#include "testing/recording.h"
#include "testing/world_state.h"

namespace nsrun::testing {

// Answers as a recording has it. Each exchange answers once, the first that fits; requests fit by method,
// target, Host and body. Other streams answer in the order in which they were recorded, and want to hear the
// same bytes; datagrams answer in order, whatever is sent, since many carry the time of day.
class Replay final : public UndeclaredDialer {
 public:
  Replay(WorldState& world, Recording recording);

  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override;
  bool knows(const Subject& subject) const override;

 private:
  using Key = std::tuple<Protocol, std::string, std::uint16_t>;  // host, port
  struct Answer {
    std::string request;  // as key_of() has it
    const Exchange* exchange;
    bool used = false;
  };
  // One host's port.
  struct Site {
    bool tls = false;
    std::vector<Answer> answers = {};
    std::vector<const RecordedFlow*> streams = {};
    std::size_t next_stream = 0;
  };

  static Key key_of(const Subject& subject);
  Task<> answer(std::unique_ptr<Connection> near, HttpRequest visited, Site& site,
                const RecordedFlow* stream);
  Task<> speak(Connection& near, const HttpRequest& visited, Site& site, const RecordedFlow* stream);
  std::optional<RawResponse> respond(const HttpRequest& request, Site& site);
  Task<bool> play(Connection& near, const RecordedFlow& stream);

  WorldState& world_;
  const Recording recording_;
  std::map<Key, Site> sites_;
};

}  // namespace nsrun::testing
