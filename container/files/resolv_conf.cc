#include "container/files/resolv_conf.h"

#include <fstream>
#include <iterator>

#include "container/files/text_covers.h"

// A link is covered itself: systemd-resolved replaces the file that its link leads to. What is renamed over
// /etc/resolv.conf takes the cover away: etc_covers.h puts it back.

namespace nsrun {
namespace {

constexpr auto path = "/etc/resolv.conf";

bool is_kept(std::string_view line) {
  const auto word = line.substr(0, line.find_first_of(" \t"));
  return word == "search" || word == "domain" || word == "options";
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
  auto covers = TextCovers::open();
  if (!covers) return covers.error();
  auto done = covers->cover_link(path, text);
  if (done) return {};
  Error error = done.error();
  error.advice = "the guest may find no name server; an empty file there, or a link to one, is enough";
  return error;
}

}  // namespace nsrun
