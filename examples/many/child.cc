// The shortest child there is: a network, then the command.

#include <unistd.h>

#include <nsrun/container/command/capabilities.h>
#include <nsrun/container/container.h>
#include <cstdio>

int main(int, char** argv) {
  try {
    nsrun::Container::open(0).value().setup_network().value();
    nsrun::give_up_privileges().value();
    ::execvp(argv[1], argv + 1);
    throw nsrun::ErrorException(nsrun::errno_error(argv[1]));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "example_many_child: %s\n", error.what());
    return 1;
  }
}
