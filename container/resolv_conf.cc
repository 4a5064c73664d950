#include "container/resolv_conf.h"

#include <fcntl.h>
#include <sys/mount.h>

#include <fstream>
#include <iterator>

#include "runtime/fd.h"

// /etc/resolv.conf is covered by a bind mount of a file in a tmpfs that is mounted for a moment and then
// detached: it lives on through the bind mount alone and goes with the namespace. (An O_TMPFILE will not do:
// the kernel refuses to bind a file without a name.)
//
// mount(2) follows symbolic links, so what is covered is the file that /etc/resolv.conf stands for. When
// somebody on the host renames another file over that one, the kernel takes our mount away with it; writing
// in place does no harm.

namespace nsrun {
namespace {

constexpr auto path = "/etc/resolv.conf";
// Any directory that surely exists serves: nobody else is in this mount namespace yet.
constexpr auto scratch = "/dev";
constexpr auto scratch_file = "/dev/resolv.conf";

bool is_kept(std::string_view line) {
  const auto word = line.substr(0, line.find_first_of(" \t"));
  return word == "search" || word == "domain" || word == "options";
}

Result<void> write_file(const std::string& text) {
  const UniqueFd file(::open(scratch_file, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
  if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return errno_error("cannot write the guest's resolv.conf");
  return {};
}

Result<void> bind_text(const std::string& text) {
  if (auto written = write_file(text); !written) return written;
  if (::mount(scratch_file, path, nullptr, MS_BIND, nullptr) < 0)
    return errno_error("cannot cover /etc/resolv.conf",
                       "the guest may find no name server; an empty file there, or a link to one, is enough");
  return {};
}

}  // namespace

std::string guest_resolv_conf(const NetworkOptions& network, std::string_view host_file) {
  std::string text = "nameserver " + network.name_server4.to_string() + "\n";
  if (network.ipv6) text += "nameserver " + network.name_server6.to_string() + "\n";
  while (!host_file.empty()) {
    const auto line = host_file.substr(0, host_file.find('\n'));
    host_file.remove_prefix(std::min(line.size() + 1, host_file.size()));
    if (is_kept(line)) text += std::string(line) + "\n";
  }
  return text;
}

Result<void> replace_resolv_conf(const NetworkOptions& network) {
  std::ifstream host_file(path);
  const std::string text =
      guest_resolv_conf(network, std::string(std::istreambuf_iterator<char>(host_file), {}));
  if (::mount("tmpfs", scratch, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=64k,mode=0755") < 0)
    return errno_error("cannot mount a tmpfs for the guest's resolv.conf");
  auto bound = bind_text(text);
  ::umount2(scratch, MNT_DETACH);
  return bound;
}

}  // namespace nsrun
