// Groups the output of an OpenPose-family network (heat maps and part affinity fields at network resolution) into people.
//
// Four steps, as in "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields" (arXiv 1611.08050):
// peaks of each heat map, scores of all possible limbs by line integrals over the fields, greedy matching per limb, and
// union of the limbs into people. Unlike there, limbs whose ends are surer go first: a field is often strong up to a
// ghost halfway down the arm. The maps are never resized: peaks are refined below a cell, fields are interpolated only
// where they are sampled. Nothing outlives a call, so that calls may run in parallel.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <vector>

namespace py = pybind11;

namespace {

constexpr int kKeypoints = 18;
constexpr float kStretch = 0.5f;  // what a limb as long as the picture is high costs
constexpr float kHardlyWorse = 0.8f;  // share of a limb's rank that each of two must have, for which it makes way
constexpr int kSamples = 10;  // along a limb, as published
// The middle comes first: a wrong pair has no field there, and is given up after few samples.
constexpr std::array<int, kSamples> kSampleOrder = {4, 5, 3, 6, 2, 7, 1, 8, 0, 9};

struct Settings {
    float threshold;        // least height of a peak
    float field_threshold;  // least agreement of the field with the limb at one sample
    float agreement;        // share of the samples that must agree
    int min_parts;          // people with fewer keypoints are dropped
    float min_score;        // people whose mean score is lower are dropped
    std::size_t max_peaks;  // per keypoint; the strongest are kept
};

struct Limb {
    int from, to;              // keypoints
    int channel_x, channel_y;  // fields
    bool founds_person;        // false: it joins what is there, but starts nobody
};

// One channel, h x w, row by row.
struct Map {
    const float* data;
    std::ptrdiff_t height, width;

    float at(std::ptrdiff_t y, std::ptrdiff_t x) const { return data[y * width + x]; }
    bool contains(std::ptrdiff_t y, std::ptrdiff_t x) const { return y >= 0 && y < height && x >= 0 && x < width; }
};

struct Peak {
    float x, y;  // cells, the centre of the first cell is 0
    float score;
};

struct Connection {
    std::int32_t from, to;  // peak numbers within their keypoints
    float score;            // of the limb
    float rank;             // by which limbs go first: score times the geometric mean of the ends' confidences
};

// Peak number per keypoint, -1: missing. Peak 0 is a peak.
struct Person {
    std::array<std::int32_t, kKeypoints> peaks;
    int parts = 0;
    float score = 0;  // sum over peaks and limbs

    Person() { peaks.fill(-1); }

    bool overlaps(const Person& other) const {
        for (int k = 0; k < kKeypoints; ++k)
            if (peaks[k] >= 0 && other.peaks[k] >= 0) return true;
        return false;
    }

    void absorb(const Person& other) {
        for (int k = 0; k < kKeypoints; ++k)
            if (other.peaks[k] >= 0) peaks[k] = other.peaks[k];
        parts += other.parts;
        score += other.score;
    }
};

using Peaks = std::array<std::vector<Peak>, kKeypoints>;

bool is_peak(const Map& map, std::ptrdiff_t y, std::ptrdiff_t x) {
    const float value = map.at(y, x);
    if (!(value <= std::numeric_limits<float>::max())) return false;
    for (int dy = -1; dy <= 1; ++dy) {
        for (int dx = -1; dx <= 1; ++dx) {
            if (!map.contains(y + dy, x + dx)) continue;
            const float other = map.at(y + dy, x + dx);
            const bool earlier = dy < 0 || (dy == 0 && dx < 0);
            // Of equal neighbours the first is the peak. NaN is lower than anything.
            if (other > value || (earlier && other == value)) return false;
        }
    }
    return true;
}

// Vertex of the parabola through the logarithms of three values in a row, which is exact for a Gaussian.
float vertex(float before, float here, float after) {
    constexpr float floor = 1e-3f;
    const float a = std::log(std::max(floor, before)), b = std::log(std::max(floor, here)),
                c = std::log(std::max(floor, after));
    const float curvature = a - 2 * b + c;
    if (!(curvature < -1e-6f)) return 0;
    return std::clamp(0.5f * (a - c) / curvature, -0.5f, 0.5f);
}

Peak refined(const Map& map, std::ptrdiff_t y, std::ptrdiff_t x) {
    const float value = map.at(y, x);
    Peak peak{static_cast<float>(x), static_cast<float>(y), value};
    if (x > 0 && x + 1 < map.width) peak.x += vertex(map.at(y, x - 1), value, map.at(y, x + 1));
    if (y > 0 && y + 1 < map.height) peak.y += vertex(map.at(y - 1, x), value, map.at(y + 1, x));
    return peak;
}

std::vector<Peak> find_peaks(const Map& map, const Settings& settings) {
    constexpr std::ptrdiff_t kBlock = 16;
    std::vector<Peak> peaks;
    for (std::ptrdiff_t y = 0; y < map.height; ++y) {
        const float* row = map.data + y * map.width;
        for (std::ptrdiff_t start = 0; start < map.width; start += kBlock) {
            const std::ptrdiff_t stop = std::min(start + kBlock, map.width);
            int any = 0;  // nearly every block is empty: one pass without branches tells
            for (std::ptrdiff_t x = start; x < stop; ++x) any |= row[x] > settings.threshold;
            if (!any) continue;
            for (std::ptrdiff_t x = start; x < stop; ++x)
                if (row[x] > settings.threshold && is_peak(map, y, x)) peaks.push_back(refined(map, y, x));
        }
    }
    if (peaks.size() > settings.max_peaks) {
        const auto stronger = [](const Peak& a, const Peak& b) { return a.score > b.score; };
        std::nth_element(peaks.begin(), peaks.begin() + settings.max_peaks, peaks.end(), stronger);
        peaks.resize(settings.max_peaks);
    }
    return peaks;
}

// Component of the field along (ux, uy) at (x, y), bilinear. The point lies within the map.
float field_along(const Map& field_x, const Map& field_y, float x, float y, float ux, float uy) {
    const auto x0 = static_cast<std::ptrdiff_t>(x), y0 = static_cast<std::ptrdiff_t>(y);
    const std::ptrdiff_t right = x0 + 1 < field_x.width ? 1 : 0, below = y0 + 1 < field_x.height ? field_x.width : 0;
    const std::ptrdiff_t cell = y0 * field_x.width + x0;
    const float fx = x - x0, fy = y - y0;
    const auto along = [&](std::ptrdiff_t i) { return ux * field_x.data[i] + uy * field_y.data[i]; };
    const float top = along(cell) * (1 - fx) + along(cell + right) * fx;
    const float bottom = along(cell + below) * (1 - fx) + along(cell + below + right) * fx;
    return top * (1 - fy) + bottom * fy;
}

// Score of the limb between two peaks; 0 or less: none.
float limb_score(const Map& field_x, const Map& field_y, const Peak& from, const Peak& to, const Settings& settings) {
    const float dx = to.x - from.x, dy = to.y - from.y;
    const float length = std::sqrt(dx * dx + dy * dy);
    const auto height = static_cast<float>(field_x.height), width = static_cast<float>(field_x.width);
    // So close together a direction means nothing, and the pair passes with the least score (as in OpenPose).
    if (length < std::sqrt(height * width) / 150) return settings.field_threshold;
    const float ux = dx / length, uy = dy / length;
    const int may_fail = kSamples - static_cast<int>(std::ceil(settings.agreement * kSamples - 1e-4f));
    int failed = 0;
    float sum = 0;
    for (const int i : kSampleOrder) {
        const float t = static_cast<float>(i) / (kSamples - 1);
        const float along = field_along(field_x, field_y, from.x + t * dx, from.y + t * dy, ux, uy);
        if (along > settings.field_threshold && along <= std::numeric_limits<float>::max())
            sum += along;
        else if (++failed > may_fail)
            return 0;
    }
    // Limbs longer than half the picture's height are less and less likely.
    return sum / kSamples + std::min(0.5f * height / length - 1, 0.0f);
}

// Of two people close behind each other all limbs between them may fit alike. Then those of the same length are right:
// two limbs exchange their ends where that fits better, less the squares of the lengths, in heights of the picture. And
// where one limb has taken the ends of two that are hardly worse, it makes way.
void exchange(std::vector<Connection>& chosen, const std::vector<Connection>& candidates, const std::vector<Peak>& from,
              const std::vector<Peak>& to, float height) {
    if (chosen.empty() || candidates.size() == chosen.size()) return;
    std::vector<const Connection*> table(from.size() * to.size(), nullptr);
    for (const Connection& candidate : candidates) table[candidate.from * to.size() + candidate.to] = &candidate;
    std::vector<char> from_used(from.size(), 0), to_used(to.size(), 0);
    for (const Connection& limb : chosen) from_used[limb.from] = to_used[limb.to] = 1;

    for (std::size_t i = 0, count = chosen.size(); i < count; ++i) {
        const Connection limb = chosen[i], *one = nullptr, *other = nullptr;
        for (const Connection& candidate : candidates) {  // best first
            if (!one && candidate.from == limb.from && !to_used[candidate.to]) one = &candidate;
            if (!other && candidate.to == limb.to && !from_used[candidate.from]) other = &candidate;
        }
        if (one && other && std::min(one->rank, other->rank) > kHardlyWorse * limb.rank) {
            to_used[one->to] = from_used[other->from] = 1;
            chosen[i] = *one;
            chosen.push_back(*other);
        }
    }
    const auto worth = [&](const Connection& limb) {
        const float dx = (to[limb.to].x - from[limb.from].x) / height, dy = (to[limb.to].y - from[limb.from].y) / height;
        return limb.score - kStretch * (dx * dx + dy * dy);
    };
    for (std::size_t i = 0; i < chosen.size(); ++i) {
        for (std::size_t j = i + 1; j < chosen.size(); ++j) {
            const Connection* one = table[chosen[i].from * to.size() + chosen[j].to];
            const Connection* other = table[chosen[j].from * to.size() + chosen[i].to];
            if (one && other && worth(*one) + worth(*other) > worth(chosen[i]) + worth(chosen[j]) + 1e-4f) {
                chosen[i] = *one;
                chosen[j] = *other;
            }
        }
    }
}

// One-to-one, best first.
std::vector<Connection> match(const Map& field_x, const Map& field_y, const std::vector<Peak>& from,
                              const std::vector<Peak>& to, const Settings& settings) {
    std::vector<Connection> candidates;
    for (std::size_t a = 0; a < from.size(); ++a) {
        for (std::size_t b = 0; b < to.size(); ++b) {
            const float score = limb_score(field_x, field_y, from[a], to[b], settings);
            if (score > 0)
                candidates.push_back({static_cast<std::int32_t>(a), static_cast<std::int32_t>(b), score,
                                      score * std::sqrt(from[a].score * to[b].score)});
        }
    }
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Connection& a, const Connection& b) { return a.rank > b.rank; });
    std::vector<char> from_used(from.size(), 0), to_used(to.size(), 0);
    std::vector<Connection> chosen;
    for (const Connection& candidate : candidates) {
        if (from_used[candidate.from] || to_used[candidate.to]) continue;
        from_used[candidate.from] = to_used[candidate.to] = 1;
        chosen.push_back(candidate);
    }
    exchange(chosen, candidates, from, to, static_cast<float>(field_x.height));
    return chosen;
}

// Adds one keypoint's matched limbs to the people. A peak belongs to one person at most (`owner`, -1: nobody), and two
// people become one only where no keypoint would then be there twice.
void join(std::vector<Person>& people, std::array<std::vector<std::int32_t>, kKeypoints>& owner, const Peaks& peaks,
          const Limb& limb, const std::vector<Connection>& connections) {
    const auto add = [&](std::int32_t person, int keypoint, std::int32_t peak) {
        people[person].peaks[keypoint] = peak;
        people[person].parts += 1;
        people[person].score += peaks[keypoint][peak].score;
        owner[keypoint][peak] = person;
    };
    for (const Connection& connection : connections) {
        const std::int32_t a = owner[limb.from][connection.from], b = owner[limb.to][connection.to];
        std::int32_t person = a >= 0 ? a : b;
        if (a < 0 && b < 0) {
            if (!limb.founds_person) continue;
            person = static_cast<std::int32_t>(people.size());
            people.emplace_back();
            add(person, limb.from, connection.from);
            add(person, limb.to, connection.to);
        } else if (b < 0) {
            if (people[a].peaks[limb.to] >= 0) continue;
            add(a, limb.to, connection.to);
        } else if (a < 0) {
            if (people[b].peaks[limb.from] >= 0) continue;
            add(b, limb.from, connection.from);
        } else if (a != b) {
            if (people[a].overlaps(people[b])) continue;
            for (int k = 0; k < kKeypoints; ++k)
                if (people[b].peaks[k] >= 0) owner[k][people[b].peaks[k]] = a;
            people[a].absorb(people[b]);
            people[b] = Person();
        }
        people[person].score += connection.score;
    }
}

// Longer side of the bounding box, in cells. On flat maps all peaks meet in one cell, which is nobody.
float extent(const Person& person, const Peaks& peaks) {
    constexpr float far = std::numeric_limits<float>::max();
    float left = far, right = -far, top = far, bottom = -far;
    for (int k = 0; k < kKeypoints; ++k) {
        if (person.peaks[k] < 0) continue;
        const Peak& peak = peaks[k][person.peaks[k]];
        left = std::min(left, peak.x), right = std::max(right, peak.x);
        top = std::min(top, peak.y), bottom = std::max(bottom, peak.y);
    }
    return std::max(right - left, bottom - top);
}

std::vector<Person> assemble(const Map& fields, const Peaks& peaks, const std::vector<Limb>& limbs,
                             const Settings& settings) {
    std::vector<Person> people;
    std::array<std::vector<std::int32_t>, kKeypoints> owner;
    for (int k = 0; k < kKeypoints; ++k) owner[k].assign(peaks[k].size(), -1);
    const std::ptrdiff_t plane = fields.height * fields.width;
    for (const Limb& limb : limbs) {
        const Map field_x{fields.data + limb.channel_x * plane, fields.height, fields.width};
        const Map field_y{fields.data + limb.channel_y * plane, fields.height, fields.width};
        join(people, owner, peaks, limb, match(field_x, field_y, peaks[limb.from], peaks[limb.to], settings));
    }
    const auto unlikely = [&](const Person& person) {
        return person.parts < std::max(1, settings.min_parts) || person.score < settings.min_score * person.parts ||
               extent(person, peaks) < 1;
    };
    people.erase(std::remove_if(people.begin(), people.end(), unlikely), people.end());
    std::stable_sort(people.begin(), people.end(),
                     [](const Person& a, const Person& b) { return a.score > b.score; });
    return people;
}

using Array = py::array_t<float, py::array::c_style | py::array::forcecast>;
using Table = py::array_t<std::int32_t, py::array::c_style | py::array::forcecast>;

py::tuple group(const Array& heatmaps, const Array& fields, const Table& limbs, const Table& channels,
                int founding_limbs, float stride, const Settings& settings) {
    if (heatmaps.ndim() != 3 || heatmaps.shape(0) < kKeypoints)
        throw std::invalid_argument("heatmaps must be (18 or more, h, w)");
    if (fields.ndim() != 3 || fields.shape(1) != heatmaps.shape(1) || fields.shape(2) != heatmaps.shape(2))
        throw std::invalid_argument("pafs must be (38, h, w), with the h and w of the heat maps");
    if (limbs.ndim() != 2 || limbs.shape(1) != 2 || channels.ndim() != 2 || channels.shape(1) != 2 ||
        limbs.shape(0) != channels.shape(0))
        throw std::invalid_argument("limbs and channels must be (L, 2) both");
    if (!(settings.agreement >= 0 && settings.agreement <= 1))
        throw std::invalid_argument("agreement must be between 0 and 1");
    std::vector<Limb> rows;
    for (py::ssize_t i = 0; i < limbs.shape(0); ++i) {
        const Limb limb{limbs.at(i, 0), limbs.at(i, 1), channels.at(i, 0), channels.at(i, 1), i < founding_limbs};
        if (std::min(limb.from, limb.to) < 0 || std::max(limb.from, limb.to) >= kKeypoints ||
            std::min(limb.channel_x, limb.channel_y) < 0 ||
            std::max(limb.channel_x, limb.channel_y) >= fields.shape(0))
            throw std::invalid_argument("pafs must be (38, h, w): a limb's channels are not there");
        rows.push_back(limb);
    }

    const std::ptrdiff_t height = heatmaps.shape(1), width = heatmaps.shape(2);
    Peaks peaks;
    std::vector<Person> people;
    {
        const float* heat = heatmaps.data();
        const Map first_field{fields.data(), height, width};
        py::gil_scoped_release release;
        for (int k = 0; k < kKeypoints; ++k)
            peaks[k] = find_peaks({heat + k * height * width, height, width}, settings);
        people = assemble(first_field, peaks, rows, settings);
    }

    const auto count = static_cast<py::ssize_t>(people.size());
    py::array_t<float> keypoints({count, py::ssize_t{kKeypoints}, py::ssize_t{2}});
    py::array_t<float> scores({count, py::ssize_t{kKeypoints}});
    auto xy = keypoints.mutable_unchecked<3>();
    auto confidence = scores.mutable_unchecked<2>();
    for (py::ssize_t p = 0; p < count; ++p) {
        for (int k = 0; k < kKeypoints; ++k) {
            const std::int32_t number = people[p].peaks[k];
            const Peak peak = number >= 0 ? peaks[k][number] : Peak{};
            xy(p, k, 0) = number >= 0 ? (peak.x + 0.5f) * stride - 0.5f : 0;
            xy(p, k, 1) = number >= 0 ? (peak.y + 0.5f) * stride - 0.5f : 0;
            confidence(p, k) = peak.score;
        }
    }
    return py::make_tuple(keypoints, scores);
}

}  // namespace

PYBIND11_MODULE(_pafprocess, module) {
    module.doc() = "Groups heat maps and part affinity fields into people; see pose_detector.pafprocess.group.";
    module.def(
        "group",
        [](const Array& heatmaps, const Array& fields, const Table& limbs, const Table& channels, int founding_limbs,
           float stride, float threshold, float field_threshold, float agreement, int min_parts, float min_score,
           std::size_t max_peaks) {
            return group(heatmaps, fields, limbs, channels, founding_limbs, stride,
                         {threshold, field_threshold, agreement, min_parts, min_score, max_peaks});
        },
        py::arg("heatmaps"), py::arg("pafs"), py::arg("limbs"), py::arg("channels"), py::arg("founding_limbs"),
        py::arg("stride"), py::arg("threshold"), py::arg("field_threshold"), py::arg("agreement"),
        py::arg("min_parts"), py::arg("min_score"), py::arg("max_peaks"));
}
