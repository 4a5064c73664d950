#pragma once

#include <memory>
#include <string>
#include <vector>

#include "host/endpoints/endpoint_url.h"
#include "host/services/wake/backends/http_call.h"

namespace nsrun {

// Calls of a Docker daemon's API, or of Podman in its place. Each is a connection of its own.
class DockerApi {
 public:
  // `where`: unix:// or tcp:// (docker_endpoint).
  static Result<DockerApi> make(const EndpointUrl& where, Executor executor);

  const std::string& where() const { return where_; }  // as errors call it
  HttpCall call_to(std::string verb, std::string path, std::string doing) const;
  Task<Result<HttpAnswer>> ask(HttpCall call, Clock::duration limit) const;
  // The ids of the containers with any of these labels ("key=value"), 256 at most.
  Task<Result<std::vector<std::string>>> list(const std::vector<std::string>& labels) const;
  // What the API tells of a container; an answer with another status than 200 is not an error here.
  Task<Result<HttpAnswer>> inspect(const std::string& id, const std::string& doing) const;

 private:
  DockerApi(std::string where, std::unique_ptr<Dialer> dialer, Target target)
      : where_(std::move(where)), dialer_(std::move(dialer)), target_(std::move(target)) {}

  std::string where_;
  std::unique_ptr<Dialer> dialer_;
  Target target_;
};

// Of an answer with a status that was not expected.
Error refused_by_api(const std::string& doing, const HttpAnswer& answer);
// RFC 3986 2.3: all but unreserved characters are encoded.
std::string percent_encoded(std::string_view text);

}  // namespace nsrun
