#pragma once

#include <string>
#include <vector>

#include "host/forward/forward.h"
#include "host/services/wake/wake_group.h"

namespace nsrun {

// A group, as it is asked for.
struct WakeSpec {
  WakeGroup::Options options;
  std::vector<Forward> forwards;  // who comes to one of these wakes it

  // What is started; one of them.
  std::string exec;                  // a shell command
  std::vector<std::string> sandbox;  // nsrun's words, from its options to the command's end
  std::string systemd;               // a unit
  bool systemd_user = false;
  // Containers: those with any of these labels ("proxytainer.group=web").
  std::vector<std::string> labels;
  std::string docker;       // where the API is; empty: DOCKER_HOST, or where it usually is
  bool uses_health = true;  // of the containers
  bool pauses = false;      // instead of stopping

  // When it is ready: "connect" (to what the first forward of streams dials; of datagrams alone: when their
  // port on this machine is taken), "http://HOST:PORT/PATH" (no HOST: of that forward), "none", else a shell
  // command. Empty: connect, where that can tell.
  std::string probe;
  Clock::duration stop_limit = 10s;  // of a process, for SIGTERM
};

// The labels by which a group of containers is known.
std::vector<std::string> labels_of_group(const std::string& group);
// "unix:///var/run/docker.sock", "tcp://localhost:2375". Empty: where `from_environment` (DOCKER_HOST, may be
// null) says, or else the first of these.
Result<EndpointUrl> docker_endpoint(std::string text, const char* from_environment);

// "30" (seconds), "500ms", "2min".
Result<Clock::duration> parse_wake_time(const std::string& what, const std::string& text);
// "30packets", "4kB": how much is to move within the idle time for the group to be in use. New connections
// alone are no use then.
Result<void> take_threshold(const std::string& text, WakeGroup::Options& options);
// "30packets", "30": how many packets from clients start a sleeping group.
Result<void> take_wake_threshold(const std::string& text, WakeGroup::Options& options);
// "traffic", "connections", "both".
Result<void> take_idle_by(const std::string& text, WakeGroup::Options& options);

}  // namespace nsrun
