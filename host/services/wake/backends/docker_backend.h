#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "host/services/wake/backend.h"
#include "host/services/wake/backends/docker_answers.h"
#include "host/services/wake/backends/docker_api.h"

namespace nsrun {

// The containers with a label, 256 at most, as one: it runs when all of them do. They are looked for each
// time, so that one that was made anew is found.
class DockerBackend final : public Backend {
 public:
  struct Options {
    std::vector<std::string> labels;  // "proxytainer.group=web": any of them
    bool uses_health = true;          // Docker's own health checks
    bool pauses = false;              // instead of stopping
  };
  using Say = std::function<void(const std::string&)>;

  // `where`: unix:// or tcp:// (docker_endpoint). There is at least one label.
  static Result<std::unique_ptr<DockerBackend>> make(const EndpointUrl& where, Options options,
                                                     Executor executor, Say say);

  Task<Result<Status>> status() override;
  Task<Result<void>> start() override;
  Task<Result<void>> stop() override;
  Task<> watch(std::function<void()> changed) override;
  Pace pace() const override;

 private:
  DockerBackend(DockerApi api, Options options, Say say)
      : api_(std::move(api)), options_(std::move(options)), say_(std::move(say)) {}
  // Of a container: its part of start() or stop().
  using Change = Task<Result<void>> (DockerBackend::*)(const std::string& id);
  struct Changes;
  struct Followed;

  Task<Result<std::optional<docker::Inspection>>> inspect(const std::string& id);
  Task<Result<void>> change(const std::string& id, const std::string& action, bool may_be_gone);
  Task<Result<void>> start_one(const std::string& id);
  Task<Result<void>> stop_one(const std::string& id);
  Task<Result<void>> change_all(std::vector<std::string> ids, Change one);
  Task<> change_in_turn(Changes& changes);
  Task<Followed> follow(const std::function<void()>& changed);

  const DockerApi api_;
  const Options options_;
  const Say say_;
  bool is_told_ = false;  // of events
};

}  // namespace nsrun
