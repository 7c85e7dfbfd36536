// What the client leaves in a container's folder (<lxcpath>/<name>) for `instar-lxc switch`: how it is to run from its
// next start on. The helper puts each in the place of the one before when the old container has stopped, so that a
// switch that ends half way leaves what belongs together. None of it need survive a power cut: all is written anew
// before each start.
#pragma once

namespace instar::device {

inline constexpr const char* kConfig = "/config";
inline constexpr const char* kNextConfig = "/config.next";
inline constexpr const char* kInit = "/init";  // argv, a zero byte after each; empty: the tree's /sbin/init
inline constexpr const char* kNextInit = "/init.next";
inline constexpr const char* kImage = "/image";  // container_image.hpp; empty: it runs from a tree
inline constexpr const char* kNextImage = "/image.next";
inline constexpr const char* kImageError = "/image.error";  // why it could not be mounted, left by `instar-lxc mount`
inline constexpr const char* kLower = "/lower";             // where it is mounted, in the container's namespace only
inline constexpr const char* kRecord = "/instar";           // run_record.hpp
inline constexpr const char* kNextRecord = "/instar.next";

}  // namespace instar::device
