// The child of parent.cc. It links nsrun::container alone: no lwIP, no OpenSSL, nothing that dials.
//
// It starts as root of its own user, network, mount and pid namespaces, and then:
//
//   opens the network    first, for /dev/net/tun is out of reach after pivot_root
//   sets it up           and waits until the host carries packets
//   makes itself a root  an empty tmpfs that shows the system's programs and libraries
//   executes the command without capabilities; every descriptor of ours closes with that

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <nsrun/container/command/capabilities.h>
#include <nsrun/container/container.h>
#include <nsrun/container/namespaces.h>
#include <cstdio>
#include <filesystem>

namespace {

namespace fs = std::filesystem;

constexpr int report = 3;              // the parent's pipe
constexpr int descriptors_before = 1;  // the host's is the next
const fs::path new_root = "/tmp";      // in a mount namespace of our own any directory will do

void check(int result, const std::string& doing) {
  if (result < 0) throw nsrun::ErrorException(nsrun::errno_error("cannot " + doing));
}

// The same directory, or the same symbolic link where distributions merge them into /usr.
void show_inside(const fs::path& path) {
  const fs::path inside = new_root / path.relative_path();
  if (fs::is_symlink(path)) return fs::copy_symlink(path, inside);
  if (!fs::is_directory(path)) return;
  fs::create_directory(inside);
  check(::mount(path.c_str(), inside.c_str(), nullptr, MS_BIND | MS_REC, nullptr), "bind " + path.string());
}

void enter_new_root(const nsrun::Container& net) {
  nsrun::separate_mounts().value();
  check(::mount("tmpfs", new_root.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=1m"), "mount a tmpfs");
  for (const char* path : {"/usr", "/bin", "/sbin", "/lib", "/lib64"}) show_inside(path);
  net.mount_tun_device(new_root).value();  // for those who want to build namespaces in there once more
  check(::chdir(new_root.c_str()), "enter the new root");
  // Both names the same: the old root comes to lie over the new one, and goes (pivot_root(2), NOTES).
  check(static_cast<int>(::syscall(SYS_pivot_root, ".", ".")), "change the root");
  check(::umount2(".", MNT_DETACH), "leave the old root");
  check(::chdir("/"), "enter the new root");
}

void tell_parent() {
  std::string line = "child: process " + std::to_string(::getpid()) + " sees";
  for (const auto& entry : fs::directory_iterator("/")) line += " " + entry.path().string();
  ::dprintf(report, "%s\n", line.c_str());
}

[[noreturn]] void become(char** command) {
  auto net = nsrun::Container::open(descriptors_before).value();
  check(::fcntl(report, F_SETFD, FD_CLOEXEC), "find descriptor 3");
  net.setup_network().value();
  enter_new_root(net);
  tell_parent();
  nsrun::give_up_privileges().value();
  ::execvp(command[0], command);
  throw nsrun::ErrorException(nsrun::errno_error(command[0]));
}

}  // namespace

int main(int, char** argv) {
  try {
    become(argv + 1);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "example_embed_child: %s\n", error.what());
    return 1;
  }
}
