#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "host/services/wake/backend.h"

// What the Docker API answers (https://docs.docker.com/reference/api/engine/), and Podman in its place.
// Whatever comes is either understood or an error.

namespace nsrun::docker {

// Of GET /containers/json: the ids. What is no id (it goes into a path) is an error.
Result<std::vector<std::string>> parse_list(std::string_view body);

struct Inspection {
  Backend::Status status = Backend::Status::idle;
  bool is_paused = false;  // and so idle
};
// Of GET /containers/{id}/json. `uses_health`: what has a health check and is not healthy is starting.
Result<Inspection> parse_inspection(std::string_view body, bool uses_health);

// Of the same: what a container is called, and how it is described.
struct Description {
  std::string name;  // letters, digits, '_', '.' and '-'; a host name in Docker's networks
  std::map<std::string, std::string> labels = {};
  std::vector<std::string> exposed = {};  // "81/tcp"
  std::string network_mode = {};          // "container:ID": another one's network
};
Result<Description> parse_description(std::string_view body);

// A line of GET /events: whether something has changed of a container with one of these labels ("key=value"),
// or cannot be told. What is done in a container (a health check by exec, say) changes nothing.
bool concerns(std::string_view event, const std::vector<std::string>& labels);

// The message of an answer that is an error, in one line; empty: it has none.
std::string parse_message(std::string_view body);

}  // namespace nsrun::docker
