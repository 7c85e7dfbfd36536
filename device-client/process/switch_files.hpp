// Files that the client leaves in a container's folder (<lxcpath>/<name>) for `instar-lxc switch`: they say how the
// container is to run from its next start on. The helper moves each ".next" file into place when the old container has
// stopped, so a switch that ends half way leaves files that belong together. None of them need survive a power cut: all
// are written again before each start.
#pragma once

namespace instar::device {

inline constexpr const char* kConfig = "/config";
inline constexpr const char* kNextConfig = "/config.next";
inline constexpr const char* kInit = "/init";  // argv, each followed by a zero byte; empty: the tree's /sbin/init
inline constexpr const char* kNextInit = "/init.next";
inline constexpr const char* kImage = "/image";  // container_image.hpp; empty: the container runs from a tree
inline constexpr const char* kNextImage = "/image.next";
inline constexpr const char* kVolumes = "/volumes";  // container_volumes.hpp; empty: the container has none
inline constexpr const char* kNextVolumes = "/volumes.next";
inline constexpr const char* kFiles = "/files";  // container_files.hpp; empty: the container gets none
inline constexpr const char* kNextFiles = "/files.next";
inline constexpr const char* kFilesNote = "/files.note";    // why one of the files could not be given, left by a hook
inline constexpr const char* kHosts = "/hosts";             // what the container is given as its /etc/hosts
inline constexpr const char* kMountError = "/mount.error";  // why image or volumes could not be mounted, left by a hook
inline constexpr const char* kLower = "/lower";    // where the image is mounted, in the container's namespace only
inline constexpr const char* kRecord = "/instar";  // run_record.hpp
inline constexpr const char* kNextRecord = "/instar.next";

}  // namespace instar::device
