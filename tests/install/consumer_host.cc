// A program of somebody else's, on the host's side: gives the program it is told to a network of its own.

#include <nsrun/host/host.h>
#include <sched.h>

#include <cstdio>

int main(int argc, char** argv) try {
  if (argc < 2) return static_cast<int>(nsrun::ExitCode::usage);
  nsrun::Command command{{argv[1]}};
  command.clone_flags = CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS;
  nsrun::Host host{nsrun::HostOptions{}};
  host.attach_to_cmd(command).value();
  return nsrun::start(command).value().wait();
} catch (const nsrun::ErrorException& failure) {
  std::fprintf(stderr, "%s\n", failure.what());
  return static_cast<int>(failure.error().exit);
}
