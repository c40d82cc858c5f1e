// Verifies an exported log with the Go project's own transparency log code (golang.org/x/mod/sumdb), none of ours:
// the checkpoint's signature, the root over all entries, every hash tile, and inclusion and consistency proofs: those in
// the export's own folder, and those of a file, if one is given.
//
//	verify_tlog DIR VERIFIER-KEY [PROOFS.json]
package main

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type proofs struct {
	Inclusion []struct {
		Index  int64    `json:"index"`
		Hashes []string `json:"hashes"`
	} `json:"inclusion"`
	Consistency []struct {
		From   int64    `json:"from"`
		Root   string   `json:"root"`
		Hashes []string `json:"hashes"`
	} `json:"consistency"`
}

func main() {
	log.SetFlags(0)
	if len(os.Args) < 3 {
		log.Fatal("usage: verify_tlog DIR VERIFIER-KEY [PROOFS.json]")
	}
	dir, vkey := os.Args[1], os.Args[2]
	tree := openCheckpoint(dir, vkey)
	leaves := readLeaves(dir, tree.N)

	stored := storedHashes{}
	for index, leaf := range leaves {
		hashes, err := tlog.StoredHashes(int64(index), leaf, stored)
		check(err, "stored hashes")
		for i, hash := range hashes {
			stored[tlog.StoredHashIndex(0, int64(index))+int64(i)] = hash
		}
	}
	root, err := tlog.TreeHash(tree.N, stored)
	check(err, "tree hash")
	if root != tree.Hash {
		log.Fatalf("root over the entries is %v, the checkpoint signs %v", root, tree.Hash)
	}

	tiles := tlog.TileHashReader(tree, &tileDir{dir})
	for index, leaf := range leaves {
		// reads the tiles on the way and authenticates them against the checkpoint
		proof, err := tlog.ProveRecord(tree.N, int64(index), tiles)
		check(err, "prove from tiles")
		check(tlog.CheckRecord(proof, tree.N, tree.Hash, int64(index), tlog.RecordHash(leaf)), "check from tiles")
	}
	if len(os.Args) > 3 {
		checkProofs(os.Args[3], tree, leaves)
	}
	inclusion := checkInclusion(dir, tree, leaves)
	consistency := checkConsistency(dir, tree)
	fmt.Printf("%d records verified, %d inclusion and %d consistency proofs\n", tree.N, inclusion, consistency)
}

func openCheckpoint(dir, vkey string) tlog.Tree {
	verifier, err := note.NewVerifier(vkey)
	check(err, "verifier key")
	text, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	check(err, "checkpoint")
	opened, err := note.Open(text, note.VerifierList(verifier))
	check(err, "checkpoint signature")
	lines := strings.Split(opened.Text, "\n")
	if lines[0] != verifier.Name() {
		log.Fatalf("origin %q is not the key's name", lines[0])
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err, "size")
	return tlog.Tree{N: size, Hash: hashOf(lines[2])}
}

func readLeaves(dir string, size int64) [][]byte {
	var leaves [][]byte
	for n := int64(0); n*256 < size; n++ {
		width := size - n*256
		if width > 256 {
			width = 256
		}
		bundle, err := os.ReadFile(filepath.Join(dir, "tile/entries", number(n)+partial(width)))
		check(err, "entries")
		for i := int64(0); i < width; i++ {
			length := int(binary.BigEndian.Uint16(bundle))
			leaves = append(leaves, bundle[2:2+length])
			bundle = bundle[2+length:]
		}
		if len(bundle) > 0 {
			log.Fatalf("bundle %d has %d more bytes", n, len(bundle))
		}
	}
	return leaves
}

func checkProofs(file string, tree tlog.Tree, leaves [][]byte) {
	text, err := os.ReadFile(file)
	check(err, "proofs")
	var given proofs
	check(json.Unmarshal(text, &given), "proofs")
	for _, p := range given.Inclusion {
		err := tlog.CheckRecord(hashesOf(p.Hashes), tree.N, tree.Hash, p.Index, tlog.RecordHash(leaves[p.Index]))
		check(err, "inclusion proof")
	}
	for _, p := range given.Consistency {
		check(tlog.CheckTree(hashesOf(p.Hashes), tree.N, tree.Hash, p.From, hashOf(p.Root)), "consistency proof")
	}
}

// checkInclusion checks the proofs of single records in the export (C2SP tlog-proof), against the checkpoint beside them.
func checkInclusion(dir string, tree tlog.Tree, leaves [][]byte) int {
	paths, err := filepath.Glob(filepath.Join(dir, "proofs", "record-*.tlog-proof"))
	check(err, "proofs")
	checkpoint, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	check(err, "checkpoint")
	for _, path := range paths {
		text, err := os.ReadFile(path)
		check(err, "inclusion proof")
		head, proved, found := strings.Cut(string(text), "\n\n")
		lines := strings.Split(head, "\n")
		if !found || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" || proved != string(checkpoint) {
			log.Fatalf("%s is no tlog-proof of this checkpoint", path)
		}
		index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
		check(err, "index of an inclusion proof")
		if index >= tree.N || filepath.Base(path) != fmt.Sprintf("record-%d.tlog-proof", index) {
			log.Fatalf("%s is of record %d", path, index)
		}
		check(tlog.CheckRecord(hashesOf(lines[2:]), tree.N, tree.Hash, index, tlog.RecordHash(leaves[index])), path)
	}
	return len(paths)
}

// checkConsistency checks that the checkpoint extends each older one that the export has a proof for. Whose the older
// ones are is not checked: they may be of a key that was exchanged since.
func checkConsistency(dir string, tree tlog.Tree) int {
	paths, err := filepath.Glob(filepath.Join(dir, "proofs", "consistency-*.json"))
	check(err, "proofs")
	for _, path := range paths {
		text, err := os.ReadFile(path)
		check(err, "consistency proof")
		var proof struct {
			From   int64    `json:"from"`
			Hashes []string `json:"hashes"`
			Older  string   `json:"older"`
		}
		check(json.Unmarshal(text, &proof), path)
		older := strings.Split(proof.Older, "\n")
		if len(older) < 4 || older[1] != strconv.FormatInt(proof.From, 10) {
			log.Fatalf("%s is not from its older checkpoint", path)
		}
		check(tlog.CheckTree(hashesOf(proof.Hashes), tree.N, tree.Hash, proof.From, hashOf(older[2])), path)
	}
	return len(paths)
}

// tileDir reads tiles of height 8 from the C2SP tlog-tiles layout.
type tileDir struct{ dir string }

func (t *tileDir) Height() int { return 8 }

func (t *tileDir) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		data, err := os.ReadFile(filepath.Join(t.dir, "tile", strconv.Itoa(tile.L), number(tile.N)+partial(int64(tile.W))))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func (t *tileDir) SaveTiles([]tlog.Tile, [][]byte) {}

type storedHashes map[int64]tlog.Hash

func (s storedHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var hashes []tlog.Hash
	for _, index := range indexes {
		hashes = append(hashes, s[index])
	}
	return hashes, nil
}

func number(n int64) string {
	text := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		text = fmt.Sprintf("x%03d/%s", n%1000, text)
	}
	return text
}

func partial(width int64) string {
	if width == 256 {
		return ""
	}
	return fmt.Sprintf(".p/%d", width)
}

func hashesOf(texts []string) []tlog.Hash {
	hashes := []tlog.Hash{}
	for _, text := range texts {
		hashes = append(hashes, hashOf(text))
	}
	return hashes
}

func hashOf(text string) tlog.Hash {
	var hash tlog.Hash
	raw, err := base64.StdEncoding.DecodeString(text)
	check(err, "hash")
	if copy(hash[:], raw) != len(raw) || len(raw) != len(hash) {
		log.Fatalf("%q is not a hash", text)
	}
	return hash
}

func check(err error, what string) {
	if err != nil {
		log.Fatalf("%s: %v", what, err)
	}
}
