"""Mathematics of predicates: clauses over facts, trees and paths of them, and maps from one schema to another."""
