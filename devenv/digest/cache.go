package digest

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync"
)

// Cache remembers the hashes of files by what the file system says of them: size, times, inode and mode. It is safe for concurrent
// Walks. A nil Cache remembers nothing.
//
// A file that is written twice within one tick of the file system's clock looks the same after the second time. git
// distrusts index entries that are as new as the index for that reason; here, a file that had been changed just before it was
// read is not remembered at all.
type Cache struct {
	file string

	mu      sync.RWMutex
	index   map[string]int32 // absolute path → place in records
	records []record
	dirty   bool
}

type record struct {
	stat stat
	hash [sha256.Size]byte
	age  uint8 // how often the cache was saved since this was of use; 0 for what was, since it was opened
}

// oldest is how many saves a record outlives without being of use: long enough for a service that is built now and then, short
// enough for files that are gone to be forgotten.
const oldest = 20

// OpenCache reads the cache at file. A file that is missing, damaged or of another version is an empty cache.
func OpenCache(file string) *Cache {
	c := &Cache{file: file, index: map[string]int32{}}
	data, err := os.ReadFile(file)
	if err != nil {
		return c
	}
	if index, records, err := decodeCache(data); err == nil {
		c.index, c.records = index, records
	}
	return c
}

// Save writes the cache if it learned anything, in one step: a crash leaves the old file or the new one.
func (c *Cache) Save() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dirty {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(c.file), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(c.file), filepath.Base(c.file)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(c.encode())
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), c.file)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	c.dirty = false
	return nil
}

// lookup is the hash of the file at path if it is as it was when it was read.
func (c *Cache) lookup(path string, s *stat) (hash [sha256.Size]byte, place int32, ok bool) {
	if c == nil {
		return hash, 0, false
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	place, ok = c.index[path]
	if !ok || c.records[place].stat != *s {
		return hash, 0, false
	}
	return c.records[place].hash, place, true
}

// learn takes over what a walk found.
func (c *Cache) learn(hits []int32, results []result) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, place := range hits {
		c.records[place].age = 0
	}
	for i := range results {
		r := &results[i]
		place, known := c.index[r.path]
		if r.gone || !r.stable {
			if known {
				delete(c.index, r.path)
				c.dirty = true
			}
			continue
		}
		c.dirty = true
		if known {
			c.records[place] = record{stat: r.seen, hash: r.hash}
			continue
		}
		c.index[r.path] = int32(len(c.records))
		c.records = append(c.records, record{stat: r.seen, hash: r.hash})
	}
}

// The file: magic, CRC-32C of all that follows, number of records, records of a fixed size, paths one after the other.
const (
	magic      = "devenv-digests-1"
	recordSize = 4 + 8 + 8 + 8 + 8 + 4 + 1 + sha256.Size // length of the path, size, mtime, ctime, inode, mode, age, hash
	headerSize = len(magic) + 4 + 4
)

func castagnoli(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

func (c *Cache) encode() []byte {
	size, count := headerSize, 0
	for path, place := range c.index {
		if c.records[place].age < oldest {
			size += recordSize + len(path)
			count++
		}
	}
	b := make([]byte, 0, size)
	b = append(b, magic...)
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(count))
	paths := make([]string, 0, count)
	for path, place := range c.index {
		r := &c.records[place]
		if r.age >= oldest {
			continue
		}
		paths = append(paths, path)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(path)))
		b = binary.LittleEndian.AppendUint64(b, uint64(r.stat.size))
		b = binary.LittleEndian.AppendUint64(b, uint64(r.stat.mtime))
		b = binary.LittleEndian.AppendUint64(b, uint64(r.stat.ctime))
		b = binary.LittleEndian.AppendUint64(b, r.stat.ino)
		b = binary.LittleEndian.AppendUint32(b, r.stat.mode)
		b = append(b, r.age+1)
		b = append(b, r.hash[:]...)
	}
	for _, path := range paths {
		b = append(b, path...)
	}
	binary.LittleEndian.PutUint32(b[len(magic):], castagnoli(b[len(magic)+4:]))
	return b
}

var errDamaged = errors.New("not a digest cache, or a damaged one")

func decodeCache(b []byte) (map[string]int32, []record, error) {
	if len(b) < headerSize || string(b[:len(magic)]) != magic ||
		binary.LittleEndian.Uint32(b[len(magic):]) != castagnoli(b[len(magic)+4:]) {
		return nil, nil, errDamaged
	}
	count := uint64(binary.LittleEndian.Uint32(b[len(magic)+4:]))
	b = b[headerSize:]
	if count*recordSize > uint64(len(b)) {
		return nil, nil, errDamaged
	}
	paths := string(b[count*recordSize:]) // the one allocation that all the paths share
	index, records := make(map[string]int32, count), make([]record, count)
	for i := range records {
		f := b[i*recordSize:][:recordSize]
		length := binary.LittleEndian.Uint32(f)
		if uint64(length) > uint64(len(paths)) {
			return nil, nil, errDamaged
		}
		r := &records[i]
		r.stat = stat{
			size: int64(binary.LittleEndian.Uint64(f[4:])), mtime: int64(binary.LittleEndian.Uint64(f[12:])),
			ctime: int64(binary.LittleEndian.Uint64(f[20:])), ino: binary.LittleEndian.Uint64(f[28:]),
			mode: binary.LittleEndian.Uint32(f[36:]), kind: File,
		}
		r.age = f[40]
		copy(r.hash[:], f[41:])
		index[paths[:length]] = int32(i)
		paths = paths[length:]
	}
	if len(paths) != 0 {
		return nil, nil, errDamaged
	}
	return index, records, nil
}
