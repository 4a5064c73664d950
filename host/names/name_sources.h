#pragma once

#include <string_view>
#include <vector>

namespace nsrun {

enum class NameSource { hosts_file, dns };

// Where names are looked up, in this order, by the hosts line of nsswitch.conf(5): `files` is the hosts file,
// `dns` and `resolve` (systemd-resolved, which resolv.conf names, too) are DNS. Other services are plug-ins
// of the C library, and ignored, as are actions in brackets. A file without such a line, or with neither,
// means "files dns".
std::vector<NameSource> parse_nsswitch(std::string_view text);

}  // namespace nsrun
